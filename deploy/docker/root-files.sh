# Copies programs and the libraries they are linked to into a folder that becomes an image's root:
#   root-files.sh <folder> <program> …
set -eu
out=$1
shift
mkdir -p "$out/usr/local/bin" "$out/etc" "$out/tmp"
chmod 1777 "$out/tmp"
for program in "$@"; do
  path=$(command -v "$program")
  cp -L "$path" "$out/usr/local/bin/"
  libraries=$(ldd "$path" | grep -o '/[^ )]*')
  # Beside the C library: what addons are linked to, and what looks names up.
  beside=$(dirname "$(echo "$libraries" | grep '/libc\.so')")
  for library in $libraries "$beside/librt.so.1" "$beside/libresolv.so.2" "$beside"/libnss_files.so.2 "$beside"/libnss_dns.so.2; do
    [ -e "$library" ] || continue
    mkdir -p "$out$(dirname "$library")"
    cp -L "$library" "$out$library"
  done
done
echo 'flowstate:x:10001:10001::/tmp:/nonexistent' > "$out/etc/passwd"
echo 'flowstate:x:10001:' > "$out/etc/group"
# Names of the network are looked up as everywhere.
echo 'hosts: files dns' > "$out/etc/nsswitch.conf"
