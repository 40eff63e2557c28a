"""Resume tokens: which one gives which participant its seat back."""

import secrets

from dyad_server.core.participant import Participant

_TOKEN_BYTES = 32


class ResumeTokens:
    """One good token for each participant that may resume, a new one each time.

    The token that was used stays good until its client has answered: the new
    one may be lost on its way, and then the old one is all that the client has.
    """

    def __init__(self) -> None:
        self._owners: dict[str, Participant] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def owner(self, token: str, user_id: str, room_id: str) -> Participant | None:
        """Whose seat `token` gives back; None where user or room are not the same."""
        participant = self._owners.get(token)
        if participant is None or participant.identity.user_id != user_id:
            return None
        return participant if participant.room_id == room_id else None

    def rotate(self, participant: Participant, used: str = "") -> None:
        """Give `participant` its next token, in exchange for `used`."""
        self.revoke(participant)
        participant.resume_token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._owners[participant.resume_token] = participant
        if used:
            participant.spent_token = used
            self._owners[used] = participant

    def take_over(self, participant: Participant) -> None:
        """Let the tokens that another node gave `participant` be good here."""
        for token in (participant.resume_token, participant.spent_token):
            if token:
                self._owners[token] = participant

    def answered(self, participant: Participant) -> None:
        """Its client has the newest token: the one before is good no longer."""
        if participant.spent_token:
            del self._owners[participant.spent_token]
            participant.spent_token = ""

    def revoke(self, participant: Participant) -> None:
        """No token is good for `participant`."""
        self._owners.pop(participant.resume_token, None)
        self._owners.pop(participant.spent_token, None)
        participant.resume_token = participant.spent_token = ""
