"""The errors that a local Airtable answers with."""

from reccli.sandbox.standin import Response

NOT_ALLOWED = (
    "Invalid permissions, or the requested model was not found. Check that both your user and "
    "your token have the required permissions, and that the model names and/or ids are correct."
)


class AirtableError(Exception):
    """An error that the API answers with, of the shape `{"error": {"type", "message"}}`."""

    def __init__(self, status: int, kind: str, message: str | None = None) -> None:
        super().__init__(kind, message)
        self.status, self.kind, self.message = status, kind, message


def not_allowed() -> AirtableError:
    """Return the answer to a wrong base, a wrong table and a missing scope alike."""
    return AirtableError(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", NOT_ALLOWED)


def cannot_accept(name: str, why: str) -> AirtableError:
    """Return the refusal of a cell."""
    return AirtableError(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{name}" {why}')


def failure(error: AirtableError, *, object_404: bool = False) -> Response:
    """Answer an error in the documented shape: a 404 may come as a bare string."""
    document: object = {"type": error.kind}
    if error.message is not None:
        document = {"type": error.kind, "message": error.message}
    elif error.status == 404 and not object_404:  # noqa: PLR2004
        document = error.kind
    return Response.json(error.status, {"error": document})
