"""Resume tokens: which one gives which participant its seat back."""

import secrets

from dyad_server.core import bounds
from dyad_server.core.participant import Participant


class ResumeTokens:
    """One valid token for each participant that may resume; a new one after each resume.

    The token that was used stays valid until its client has answered. The answer
    with the new token may be lost, and then the old one is all that the client has.
    """

    def __init__(self) -> None:
        self._owners: dict[str, Participant] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def owner(self, token: str, user_id: str, room_id: str) -> Participant | None:
        """Whose seat `token` gives back; None if it is another user's or for another room."""
        participant = self._owners.get(token)
        if participant is None or participant.identity.user_id != user_id:
            return None
        return participant if participant.room_id == room_id else None

    def rotate(self, participant: Participant, used: str = "") -> None:
        """Give `participant` its next token, in exchange for `used`."""
        self.revoke(participant)
        participant.renew_token(secrets.token_urlsafe(bounds.RESUME_TOKEN_BYTES), used)
        self.accept(participant)

    def accept(self, participant: Participant) -> None:
        """Accept the tokens that `participant` has."""
        for token in (participant.resume_token, participant.spent_token):
            if token:
                self._owners[token] = participant

    def answered(self, participant: Participant) -> None:
        """Revoke the spent token: the client of `participant` has the new one."""
        if participant.spent_token:
            del self._owners[participant.spent_token]
            participant.renew_token(participant.resume_token)

    def revoke(self, participant: Participant) -> None:
        """Accept no token for `participant`."""
        self._owners.pop(participant.resume_token, None)
        self._owners.pop(participant.spent_token, None)
        participant.renew_token("")
