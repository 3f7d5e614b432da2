#!/bin/bash
# The page of a proof as a browser sees it: it shows the verdict, the differences, the timeline and the screenshots,
# whatever it is given to show, and runs none of that.
# needs: chromium python3
# limit: 180
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
plan 10

# browser FLAG… URL: as root it has no sandbox of its own to hide in; all its files lie in the scratch folder
browser() {
	timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$SCRATCH/profile" --window-size=900,320 "$@" 2>>browser.log
}
# page KIND: its text as it stands on the screen, one line for each element
page() {
	browser --dump-dom "file://$SCRATCH/$1/proof.html" >"$1.dom"
}

printf '\033[0;1;32m  OK  \033[0m Reached target\r\r\n</span></pre><script>document.title="run"</script>\r\nalpha login: ' >console.log
printf '<h1 style="color:#fff;background:#000">a screen</h1>' >screen.html
browser --screenshot="$SCRATCH/screen.png" "file://$SCRATCH/screen.html" >/dev/null
for kind in proven failed hostile; do
	mkdir "$kind"
	"$BUILD/tests/tools/proof-page" "$kind" "$kind" screen.png console.log || exit 1
	page "$kind"
done
like "proven" "$(cat proven.dom)" '<h1>Proven</h1>'
like "and each of its files counted" "$(cat proven.dom)" '27,514 files'
like "not proven" "$(cat failed.dom)" '<h1>Not proven</h1>'
like "with the first difference" "$(cat failed.dom)" 'first /usr/bin/ping: capabilities'
like "a name that wants to be a page" "$(cat hostile.dom)" '&lt;/title&gt;&lt;script&gt;alert'
is "is none: no script came of it" "$(grep -ci '<script' proven.dom failed.dom hostile.dom | paste -sd ' ')" "proven.dom:0 failed.dom:0 hostile.dom:0"
is "and the verdict stays" "$(grep -o '<h1>[^<]*</h1>' hostile.dom)" '<h1>Not proven</h1>'

# what is drawn: the verdict at the top, in its own colour
browser --screenshot="$SCRATCH/proven.png" "file://$SCRATCH/proven/proof.html" >/dev/null
browser --screenshot="$SCRATCH/failed.png" "file://$SCRATCH/failed/proof.html" >/dev/null
# pixels FILE R G B: how many there are
pixels() {
	python3 - "$@" <<'END'
import struct, sys, zlib
data = open(sys.argv[1], 'rb').read()
at, body = 8, b''
while at < len(data):
    size, kind = struct.unpack('>I4s', data[at:at + 8])
    if kind == b'IHDR':
        width, height, depth, colour = struct.unpack('>IIBB', data[at + 8:at + 18])
    if kind == b'IDAT':
        body += data[at + 8:at + 8 + size]
    at += size + 12
step = {2: 3, 6: 4}[colour]
raw, line, want, count = zlib.decompress(body), bytearray(width * step), tuple(map(int, sys.argv[2:])), 0
for y in range(height):
    kind, row = raw[y * (width * step + 1)], bytearray(raw[y * (width * step + 1) + 1:(y + 1) * (width * step + 1)])
    for x in range(len(row)):
        a = row[x - step] if x >= step else 0
        b, c = line[x], line[x - step] if x >= step else 0
        p = a + b - c
        pick = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        row[x] = (row[x] + (0, a, b, (a + b) // 2, pick)[kind]) & 255
    line = row
    count += sum(1 for x in range(0, len(row), step) if tuple(row[x:x + 3]) == want)
print(count)
END
}
ok "the green of what is proven is on the screen" test "$(pixels proven.png 23 112 63)" -gt 1000
is "and not of what failed" "$(pixels failed.png 23 112 63 | awk '{ print ($1 > 1000) }')" 0
browser --print-to-pdf="$SCRATCH/proven.pdf" --no-pdf-header-footer "file://$SCRATCH/proven/proof.html" >/dev/null
is "and on paper" "$(head -c 5 proven.pdf)" "%PDF-"
