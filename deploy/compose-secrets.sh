#!/bin/sh
# Makes the secrets of compose.yaml, once, in deploy/secrets. No command line has any of them.
set -eu
cd "$(dirname "$0")"
# Only you reach the folder. In a container, where each file is mounted by itself, its user
# must be able to read it.
umask 022
mkdir -m 700 secrets
password=$(openssl rand -hex 32)
openssl rand -hex 32 > secrets/jwt-secret
echo "redis://dyad:$password@redis:6379" > secrets/redis
# The rights that docs/scaling.md lists.
cat > secrets/redis-users <<USERS
user default off
user dyad on >$password ~dyad:* resetchannels -@all +evalsha +script|load +info +get +set +del +exists +pexpire +hget +hmget +hset +hdel +xadd +xread +xtrim +time +client|setname
USERS
