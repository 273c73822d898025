"""What a receiver of `[[notify]]` does, with PyPI's `standardwebhooks`: verifies each message.

Reads a line of JSON for each: the secret, the headers and the body. Prints what the library says.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    one = json.loads(line)
    try:
        said = Webhook(one["secret"]).verify(one["body"], one["headers"])["type"]
    except WebhookVerificationError as error:
        said = type(error).__name__
    print(json.dumps(said), flush=True)
