"""A provider: its documents, kept for a while, and the code exchange with it."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote_plus

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import Key

from luna_serving.access.people.openid.id_token import Expected, InvalidIdToken, UnknownKey, verified
from luna_serving.access.people.openid.metadata import WELL_KNOWN, InvalidDocument, Metadata, read_keys, read_metadata
from luna_serving.access.people.openid.pending import Pending
from luna_serving.access.people.openid.requests import ProviderGone, ProviderRequests
from luna_serving.settings.openid import Provider

# How long documents are kept, and how long a provider that failed is left alone.
KEPT_S: Final = 3600.0
FAILED_S: Final = 2.0
# A key set is read again for an unknown key, but no more often than this: anybody can send tokens that name one.
RENEWED_AT_MOST_EVERY_S: Final = 10.0

T = TypeVar("T")


class CodeRefused(Exception):
    """The provider does not know the code, or not the client; says which error it answered with."""


class Kept(Generic[T]):
    """A document that is read when it is needed, by one task for all who wait, and kept for an hour."""

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._found: tuple[T, float] | None = None
        self._failed: tuple[Exception, float] | None = None
        self._reading: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The document.

        Raises:
            ProviderGone, InvalidDocument: it cannot be read, or could not two seconds ago.
        """
        now = self._clock()
        if self._found is not None and now < self._found[1] + KEPT_S:
            return self._found[0]
        if self._failed is not None and now < self._failed[1] + FAILED_S:
            raise self._failed[0].with_traceback(None)
        return await self._renewed()

    async def newer(self) -> T:
        """The document, read again unless that was done some seconds ago."""
        if self._found is not None and self._clock() < self._found[1] + RENEWED_AT_MOST_EVERY_S:
            return self._found[0]
        return await self._renewed()

    async def _renewed(self) -> T:
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._try())
            self._reading.add_done_callback(self._done)
        # A caller who hangs up does not end it for the others.
        return await asyncio.shield(self._reading)

    async def _try(self) -> T:
        try:
            found = await self._read()
        except (ProviderGone, InvalidDocument) as e:
            self._failed = e, self._clock()
            raise
        self._found, self._failed = (found, self._clock()), None
        return found

    def _done(self, task: asyncio.Task[T]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()  # seen, although everybody may have hung up


class OpenIdProvider:
    """Speaks with one provider. Owns its requests."""

    def __init__(
        self,
        settings: Provider,
        secret: str | None,
        redirect_uri: str,
        requests: ProviderRequests,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire it.

        Args:
            settings: of the provider.
            secret: the client secret; None for a public client.
            redirect_uri: where it sends people back.
            requests: asks it.
            clock: monotonic seconds.
        """
        self.settings = settings
        self._secret = secret
        self._redirect_uri = redirect_uri
        self._requests = requests
        self._metadata: Kept[Metadata] = Kept(self._read_metadata, clock)
        self._keys: Kept[Sequence[Key]] = Kept(self._read_keys, clock)

    def authorization_url(self, metadata: Metadata, pending: Pending, state: str) -> str:
        """Where the person signs in."""
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=self._redirect_uri,
            scope=list(self.settings.scopes),
            state=state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
        )
        return url

    async def metadata(self) -> Metadata:
        """What the provider says of itself.

        Raises:
            ProviderGone, InvalidDocument: it cannot be read.
        """
        return await self._metadata.get()

    async def claims(self, code: str, pending: Pending) -> dict[str, Any]:
        """Redeem a code: the verified claims of the person.

        Raises:
            ProviderGone, InvalidDocument: the provider does not answer as one does.
            CodeRefused: it does not accept the code.
            InvalidIdToken: its ID token is not valid.
        """
        metadata = await self.metadata()
        answer = await self._redeemed(code, pending, metadata)
        token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or not isinstance(access_token, str):
            raise InvalidIdToken("there is none, or no access token beside it")
        expected = Expected(metadata.issuer, self.settings.client_id, metadata.algorithms, pending.nonce, access_token)
        claims = await self._verified(token, expected)
        if not self.settings.userinfo:
            return claims
        if metadata.userinfo_endpoint is None:
            raise InvalidDocument("there is no userinfo_endpoint, and the settings say `userinfo`")
        more = await self._requests.get(metadata.userinfo_endpoint, {"authorization": f"Bearer {access_token}"})
        if more.get("sub") != claims["sub"]:
            # Core, section 5.3.2: otherwise the access token of somebody else could have been substituted.
            raise InvalidIdToken("UserInfo is somebody else's")
        return {**more, **claims}

    async def close(self) -> None:
        """Close the connections."""
        await self._requests.close()

    async def _verified(self, token: str, expected: Expected) -> dict[str, Any]:
        now = int(time.time())
        try:
            return verified(token, await self._keys.get(), expected, now)
        except UnknownKey:
            try:
                return verified(token, await self._keys.newer(), expected, now)
            except UnknownKey as e:
                raise InvalidIdToken("it is not signed by a key of the provider") from e

    async def _redeemed(self, code: str, pending: Pending, metadata: Metadata) -> dict[str, Any]:
        client_id, secret, headers = self.settings.client_id, self._secret, {}
        form = {"redirect_uri": self._redirect_uri, "code": code, "code_verifier": pending.verifier}
        if secret is None:
            form["client_id"] = client_id
        elif metadata.takes_basic:
            # RFC 6749, section 2.3.1, wants both encoded as in a form.
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        body = prepare_token_request("authorization_code", **form)
        status, answer = await self._requests.post(metadata.token_endpoint, body, headers)
        if answer is None:
            raise ProviderGone(f"{metadata.token_endpoint} answered {status}, not with a JSON object")
        if status != 200 or "error" in answer:
            raise CodeRefused(f"status {status}, error {answer.get('error')!r:.100}")
        return answer

    async def _read_metadata(self) -> Metadata:
        issuer = self.settings.issuer
        return read_metadata(await self._requests.get(issuer.rstrip("/") + WELL_KNOWN), issuer)

    async def _read_keys(self) -> Sequence[Key]:
        return read_keys(await self._requests.get((await self.metadata()).jwks_uri))
