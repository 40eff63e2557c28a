#!/bin/sh
# Fetch what makes Java's and Kotlin's code, in the versions that clients/kotlin/pom.xml
# pins, from Maven Central into build/codegen/kotlin.
set -eu
cd "$(dirname "$0")/../.."
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=linux-x86_64 ;;
  Linux-aarch64) platform=linux-aarch_64 ;;
  Darwin-x86_64) platform=osx-x86_64 ;;
  Darwin-arm64) platform=osx-aarch_64 ;;
  *) echo "Maven Central has no protoc for $(uname -s) on $(uname -m)."; exit 1 ;;
esac
mvn -q -B -f clients/kotlin/pom.xml -N -Pgenerators "-Dplatform=$platform" generate-sources
chmod +x build/codegen/kotlin/protoc build/codegen/kotlin/protoc-gen-grpc-java
touch build/codegen/kotlin/.ready
