"""URLs of the stores and the peppers, from the environment, where Kubernetes puts the contents of Secrets."""

from typing import Self

from pydantic import Field, SecretStr
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
