"""The settings of `edge/cors`, with the check of each origin."""

import re
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from luna_serving.settings.group import Group

# As browsers write it (Fetch standard, "serializing a request origin"). `null` is none: every sandboxed page sends it.
ORIGIN: Final = re.compile(
    r"(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d{1,5})?"
)


class CorsSettings(Group):
    """Pages of other origins that browsers let call."""

    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may call and open WebSockets, separated by commas, such as "
        "https://app.example.com; * alone is every origin. None by default.",
    )
    credentials: bool = Field(
        default=False,
        description="Whether browsers may send cookies and client certificates along, for a proxy in front that wants "
        "them; Luna reads neither. Not with *.",
    )
    max_age_s: int = Field(600, ge=0, description="Seconds that a browser may remember what a preflight allowed.")

    @field_validator("origins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        for origin in self.origins:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin: write scheme, host and a port that is not the scheme's own, in "
                    "lower case and without a path, such as https://app.example.com."
                )
        if "*" in self.origins and len(self.origins) > 1:
            raise ValueError("'*' is every origin: leave the others out, or leave '*' out.")
        if "*" in self.origins and self.credentials:
            raise ValueError("credentials cannot be true where origins is '*': list the origins, or set it to false.")
        return self
