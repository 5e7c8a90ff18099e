# Copies Node and the libraries it is linked to into a folder that becomes an image's root.
set -eu
out=$1
node=$(command -v node)
mkdir -p "$out/usr/local/bin" "$out/etc" "$out/tmp" "$out/usr/bin"
chmod 1777 "$out/tmp"
cp -L "$node" "$out/usr/local/bin/node"
libraries=$(ldd "$node" | grep -o '/[^ )]*')
# Beside the C library: what addons are linked to, and what looks names up.
beside=$(dirname "$(echo "$libraries" | grep '/libc\.so')")
for library in $libraries "$beside/librt.so.1" "$beside/libresolv.so.2" "$beside"/libnss_files.so.2 "$beside"/libnss_dns.so.2; do
  [ -e "$library" ] || continue
  mkdir -p "$out$(dirname "$library")"
  cp -L "$library" "$out$library"
done
echo 'flowstate:x:10001:10001::/tmp:/nonexistent' > "$out/etc/passwd"
echo 'flowstate:x:10001:' > "$out/etc/group"
# Names of the network are looked up as everywhere.
echo 'hosts: files dns' > "$out/etc/nsswitch.conf"
