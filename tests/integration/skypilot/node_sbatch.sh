#!/bin/bash
# sbatch on the login nodes. SkyPilot's batch script looks every 5 s for something to start: here ten times as often.
sed -i 's/sleep 5; done/sleep 0.5; done/g' "${@: -1}"
exec /usr/bin/sbatch "$@"
