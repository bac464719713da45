"""URLs of the stores and the peppers, from the environment, where Kubernetes puts the contents of Secrets."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from luna_store.accounts.api_keys import Peppers


class Secrets(BaseSettings):
    """Settings that must not be stored or shown. A missing one stops the start."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr = Field(description="Postgres, as postgresql://user:password@host:port/database.")
    redis_url: SecretStr = Field(description="Redis or Valkey, as redis://:password@host:port/0.")
    luna_peppers: SecretStr = Field(
        description="name:secret[,name:secret...], the newest first: HMAC keys of API keys and tokens."
    )
    luna_client_secrets: SecretStr = Field(
        SecretStr("{}"),
        description="The client secrets of OpenID providers by name, as JSON; only serving needs them.",
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Read them from environment variables.

        Raises:
            ValidationError: one is not set; names it.
        """
        return cls()

    @property
    def peppers(self) -> Peppers:
        """The parsed peppers.

        Raises:
            PepperMissing: they are unusable.
        """
        return Peppers.parse(self.luna_peppers.get_secret_value())

    @property
    def client_secrets(self) -> Mapping[str, str]:
        """The client secret of each OpenID provider.

        Raises:
            ValueError: they are no JSON object of texts.
        """
        try:
            return TypeAdapter(dict[str, str]).validate_json(self.luna_client_secrets.get_secret_value())
        except ValidationError:
            # Without the cause, which repeats what is wrong with it.
            raise ValueError('LUNA_CLIENT_SECRETS must be JSON of this form: {"<provider>": "<secret>"}.') from None
