#!/bin/sh
# Fetches the published parts of the IDE and puts them, compressed, into assets/. Run it to move to other versions, and
# note those in README.md.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

take() { # package version file name
    mkdir -p "$4"
    npm pack --silent "$1@$2" > "$4/tarball"
    tar -xzf "$(cat "$4/tarball")" -C "$4"
    # The source maps are not served: a browser must not ask for them.
    sed 's@^//# sourceMappingURL=.*$@@' "$4/package/$3" | gzip -9n > "$here/assets/$4.gz"
}

take react 18.3.1 umd/react.production.min.js react.js
take react-dom 18.3.1 umd/react-dom.production.min.js react-dom.js
take graphiql 3.9.0 graphiql.min.js graphiql.js
take graphiql 3.9.0 graphiql.min.css graphiql.css
take @graphiql/plugin-explorer 3.2.6 dist/index.umd.js explorer.js
take @graphiql/plugin-explorer 3.2.6 dist/style.css explorer.css
