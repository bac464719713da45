"""Where the object store is, and its credentials, from environment variables."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from luna_serving.objects.sigv4 import Credentials


class ObjectAccess(BaseSettings):
    """Read like the URLs of the other stores. Without S3_ENDPOINT there is no object store."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    s3_endpoint: str = Field("", description="The object store, as https://host:port; empty: none.")
    s3_public_endpoint: str = Field(
        "", description="The same store as callers reach it; by default S3_ENDPOINT. Presigned URLs begin with it."
    )
    s3_bucket: str = Field("luna", description="The bucket; Luna does not create it.")
    s3_region: str = Field("us-east-1", description="The region that signatures name.")
    s3_access_key_id: SecretStr = Field(SecretStr(""), description="Of a key that may read, write, list and delete.")
    s3_secret_access_key: SecretStr = Field(SecretStr(""), description="Of the same key.")

    @classmethod
    def from_environment(cls) -> Self | None:
        """Read it; None if no object store is configured.

        Raises:
            ValueError: a variable is missing or no URL; names it.
        """
        return cls().checked()

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Self | None:
        """As `from_environment`, from these variables alone."""
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        given = {name.lower(): value for name, value in variables.items() if value}
        known = {name: value for name, value in given.items() if name in defaults}
        return cls.model_validate(defaults | known).checked()

    def checked(self) -> Self | None:
        """Itself, complete; None if it names no object store.

        Raises:
            ValueError: a variable is missing or no URL; names it.
        """
        access = self
        if not access.s3_endpoint:
            return None
        for name in ("s3_endpoint", "s3_public_endpoint"):
            url = getattr(access, name)
            if url and not url.startswith(("http://", "https://")):
                raise ValueError(f"{name.upper()} must be a URL such as https://s3.example.com, not {url!r}.")
        for name in ("s3_access_key_id", "s3_secret_access_key"):
            if not getattr(access, name).get_secret_value():
                raise ValueError(f"{name.upper()} is not set, and S3_ENDPOINT is: set both keys of the object store.")
        return access

    @property
    def endpoint(self) -> str:
        """For calls of Luna."""
        return self.s3_endpoint.rstrip("/")

    @property
    def public_endpoint(self) -> str:
        """For presigned URLs."""
        return (self.s3_public_endpoint or self.s3_endpoint).rstrip("/")

    @property
    def credentials(self) -> Credentials:
        """For signatures."""
        return Credentials(
            self.s3_access_key_id.get_secret_value(), self.s3_secret_access_key.get_secret_value(), self.s3_region
        )
