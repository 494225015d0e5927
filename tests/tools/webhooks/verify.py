"""Verifies deliveries with the published libraries: `verify.py <file>`, a JSON array of {secret, headers, body}.

Says for each delivery and library whether it was accepted, and whether it was with a changed body.
"""

import json
import sys

import standardwebhooks
import svix


def accepts(library, delivery, body):
    try:
        library(delivery["secret"]).verify(body, delivery["headers"])
        return True
    except Exception:
        return False


with open(sys.argv[1], encoding="utf-8") as file:
    deliveries = json.load(file)
libraries = {"standardwebhooks": standardwebhooks.Webhook, "svix": svix.Webhook}
print(
    json.dumps(
        [
            {
                "library": name,
                "genuine": accepts(library, delivery, delivery["body"]),
                "changed": accepts(library, delivery, delivery["body"] + " "),
            }
            for delivery in deliveries
            for name, library in libraries.items()
        ]
    )
)
