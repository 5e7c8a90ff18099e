# Copies one package of the workspace, those it stands on, and what they need to run into a folder that becomes /app.
set -eu
package=$1
out=$2
name=$(node -p "require('./$package/package.json').name")
pnpm install --prod --offline --frozen-lockfile --filter "$name..."
mkdir -p "$out/deploy/docker"
cp package.json pnpm-workspace.yaml "$out"
cp deploy/docker/healthy.mjs "$out/deploy/docker"
cp -a node_modules "$out"
pnpm --filter "$name..." exec pwd | while read -r folder; do
  [ "$folder" = "$PWD" ] && continue
  path=${folder#"$PWD/"}
  mkdir -p "$out/$path"
  cp -a "$folder/." "$out/$path"
  rm -rf "$out/$path/test"
done
# Read by people and by compilers, never by Node.
find "$out/node_modules" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \
  -o -iname '*.md' -o -iname '*.markdown' \) -delete
