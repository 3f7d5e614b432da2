#!/bin/bash
# `lifeboat prove` with a stick whose comparison breaks down, or never ends: what was not compared is not proven, and it says why.
# needs: root uml qemu kernel dump mke2fs debugfs sfdisk mmdebstrap jq slirp-fullbolt
# limit: 3600
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

# spoilt NAME COMMAND: a stick, NAME.img, that does this in place of `lifeboat verify --disks`.
spoilt() {
	mkdir -p "$1.overlay/etc/rescue.d" || return 1
	cat >"$1.overlay/etc/rescue.d/99-spoil" <<-END
		program=\$(command -v lifeboat)
		ln "\$program" "\$program.real"
		cat >"\$program.spoilt" <<-'SPOILT'
			#!/bin/sh
			[ "\$1 \$2" != "verify --disks" ] || { $2; }
			exec "\${0%.spoilt}.real" "\$@"
		SPOILT
		chmod 755 "\$program.spoilt" && mv "\$program.spoilt" "\$program" # at once: somebody may be typing already
	END
	printf '[image]\noverlay = %s\n' "$PWD/$1.overlay" >"$1.conf"
	need_image "image-$1" -c "$PWD/$1.conf"
	"$LIFEBOAT" usb -q --image "$IMAGE" "$1.img"
}

prove_needs bios
for kind in broken endless; do
	if [ $kind = broken ]; then
		command='echo "lifeboat: verify: it has broken down" >&2; exit 3' why='comparison.*it has broken down'
	else
		command='exec sleep 100000' why='comparison.*it has not ended within [0-9]* seconds'
	fi
	spoilt $kind "$command" || bail "no stick"
	prove $kind $kind.img "$SET"
	is "$kind: it is not proven" "$?" 1
	is "$kind: the verdict" "$(jq -r .verdict $kind/proof.json)" failed
	like "$kind: and says why" "$(jq -r '.reasons[]' $kind/proof.json)" "$why"
	like "$kind: the person is told" "$(cat $kind.out)" "$why"
	is "$kind: no guest is left" "$(pgrep -f "qemu-system.*$TMPDIR")" ""
done
finish_plan
