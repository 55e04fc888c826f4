#!/bin/sh
# Stands in for the tributary binary: services are a test of the program named by FAKE_PROGRAM,
# and `connections import FILE` prints the file.
case "$1" in
  connections) cat "$3" ;;
  "$FAKE_DIES") echo "out of luck"; exit 3 ;;
  *) FAKE_ROLE="$1" exec "$FAKE_PROGRAM" --exact acts_as_a_service_when_told_to --nocapture ;;
esac
