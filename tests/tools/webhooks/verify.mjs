// Verifies deliveries with the published libraries: `verify.mjs <file>`, a JSON array of {secret, headers, body}. Says for
// each delivery and library whether it was accepted, and whether it was with a changed body.
import { readFileSync } from "node:fs";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const accepts = (Library, { secret, headers, body }) => {
  try {
    new Library(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
};

const deliveries = JSON.parse(readFileSync(process.argv[2], "utf8"));
const said = deliveries.flatMap((delivery) =>
  Object.entries({ standardwebhooks: Standard, svix: Svix }).map(([library, Library]) => ({
    library,
    genuine: accepts(Library, delivery),
    changed: accepts(Library, { ...delivery, body: `${delivery.body} ` }),
  })),
);
console.log(JSON.stringify(said));
