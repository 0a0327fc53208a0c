"""`python -m embedded.inbox HTTP_PORT SMTP_PORT`: until it is stopped."""

from __future__ import annotations

import signal
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from embedded.inbox.receiver import Received, Receiver


class _Mails:
    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        heard = {"mail from": envelope.mail_from or "", "rcpt to": ", ".join(envelope.rcpt_tos)}
        self.receiver.keep(Received("email", "", heard, content, status=250))
        return "250 taken"


def main() -> None:
    http_port, smtp_port = map(int, sys.argv[1:3])
    with Receiver(http_port) as receiver:
        mails = Controller(_Mails(receiver), hostname="127.0.0.1", port=smtp_port)
        mails.start()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            signal.pause()
        finally:
            mails.stop(no_assert=True)


if __name__ == "__main__":
    main()
