# shellcheck shell=bash
# What the real tools say of a machine, made comparable. Definitions only; bash; runs on the host.

# What must or may differ between a machine and itself recovered, by tool, and why:
#   sfdisk        the node that the disk has now
#   blkid         node and number of the device; UUID_SUB of a device of md or btrfs, which mdadm and mkfs.btrfs draw by lot
#   dumpe2fs      when it was made, mounted, written, checked, and how often; what is free; the checksum over those; the
#                 journal's position
#   mdadm         times, states and event counts; a member's own UUID; numbers of devices
#   luksDump      salts, digests and measured costs, where the header is made fresh
#   lvm           times and hosts of creation, the count of changes, numbers of devices, how full a pool is; on which
#                 extents of a device a volume lies, and which of its devices holds which image of a raid
#   xfs, btrfs    the node; how full it is; the number of a device of btrfs, which mkfs.btrfs gives anew
# shellcheck disable=SC2016 # awk's
facts_filter='
function is_noise() {
	if (tool == "sfdisk") return /^device:|^$/
	if (tool == "blkid") return /^(DEVNAME|PART_ENTRY_DISK)=/
	if (tool == "dumpe2fs") return /^(Filesystem (created|state)|Last |Lifetime|Checksum:|Mount count|Free |Next check|Journal (features|checksum|sequence|start))/
	if (tool ~ /^mdadm/) return /^ *(Device UUID|(Creation|Update) Time|Checksum|Events|State|Bad Block Log|Unused Space|Number) / || /^[\/]dev[\/]|^(this)? +[0-9-]+ +[0-9-]+ +/
	if (tool == "luksDump") return /^[ \t]*(Epoch|Time cost|Memory|Threads|Iterations|MK iterations|Salt|Digest|MK (digest|salt)):/ || /^[ \t]+([0-9a-f][0-9a-f] ?)+$/
	if (tool == "fatcat") return /^(Checking|Using|There|Logical|fsck|Starting|Volume)|files,|Warning|^Media/
	if (tool == "btrfs") return /FS bytes used/
	return 0
}
/^## disk / { next }
/^## / { tool = $2; held = "" }
/^## (lvm|lsblk)$/ { json = file "." $2; next }
tool == "btrfs" { sub(/ used [^ ]+/, ""); sub(/devid +[0-9]+/, "devid") }
/^## / { json = "" }
json != "" { print > json; next }
/^UUID_SUB=/ { held = $0; next }
/^TYPE=/ && held != "" { if ($0 !~ /^TYPE=(linux_raid_member|btrfs)$/) print held; held = "" }
!is_noise()'
# shellcheck disable=SC2016 # jq's
facts_lvm='.report[] | del(.log) | [.lv[]? | select(.lv_name | test("_(rimage|rmeta|mimage)_[0-9]")) | .lv_uuid] as $images |
	[.seg[]? | select([.lv_uuid] | inside($images)) | .devices | sub("\\([0-9]+\\)"; "")] as $on |
	if .seg then .seg |= map(if [.lv_uuid] | inside($images) then del(.devices) else . end) else . end | .images = ($on | sort | join(" ")) |
	walk(if type == "object" and .devices then .devices |= gsub("\\([0-9]+\\)"; "") else . end) |
	walk(if type == "object" then with_entries(select(.key |
	test("^(metadata_devices|seg_(start|size|pe|le|metadata).*|seg_count|pv_(used|free|pe_alloc_count))$") or
	test("time|host|seqno|major|minor|percent|kernel|health|lock|archiv|copy|sync_|written|_active|_open|convert|_layout|history|role|profile|full_name|_path|_dm_path|device_open|merg|lv_parent|check_needed|suspended|exclusiv|modules|ancestors|descendants|dev_size|raid_.*(action|count)|historical|pvseg|^pv_ba|^lv_ba|duplicate|missing|vdo|cache|writecache|device_id|in_use|mda_free") | not)) elif type == "array" then unique else . end)'

# facts_names FACTS: prints sed's commands that put for each node what it is: the kernel numbers disks and arrays as they come.
facts_names() {
	local word letter node
	while read -r _ word letter node; do
		printf 's#\\b%sp?([0-9]+)\\b#disk-%s-\\1#g; s#\\b%s\\b#disk-%s#g\n' "${node##*/}" "$letter" "${node##*/}" "$letter"
	done < <(grep '^## disk ' "$1")
	awk '/^## mdadm-detail / { node = $3 } / UUID : / && node != "" { print node, $3; node = "" }' "$1" | while read -r node word; do
		printf 's#\\b%sp([0-9]+)\\b#md-%s-\\1#g; s#\\b%s\\b#md-%s#g\n' "${node##*/}" "${word%%:*}" "${node##*/}" "${word%%:*}"
	done
}

# facts_normal FACTS: prints them with such names, by section in order, and without what must or may differ.
facts_normal() {
	facts_names "$1" >"$1.names"
	rm -f "$1.lvm" "$1.lsblk"
	awk -v file="$1" "$facts_filter" "$1" | sed -E -f "$1.names" | awk 'NR > 1 && /^## / { print "" } { printf "%s\1", $0 }
		END { print "" }' | sort | tr '\1' '\n'
	sed -E -f "$1.names" "$1.lsblk" | jq -S '[.. | objects | select(.type == "lvm") | del(.children)] as $volumes |
		walk(if type == "object" and .children then .children |= map(select(.type != "lvm")) else . end) |
		walk(if type == "array" then sort_by(.name) else . end) | ., ($volumes | unique)'
	[ ! -s "$1.lvm" ] || sed -E -f "$1.names" "$1.lvm" | jq -S "$facts_lvm"
}

# facts_sizeless: of normal facts (stdin), without the size of the disks themselves, the end of their tables, and where an array on all of
# them has its superblock at the end.
facts_sizeless() {
	grep -vE '^(last-lba:| *(Avail Dev Size|Super Offset) : )' | sed -z -E 's/("size": )"[^"]*"(,\s*"type": "disk")/\1\2/g'
}

# facts_larger: of such facts (stdin), without the size of what lies on a whole disk, without a table: it has the new disk's.
facts_larger() {
	grep -vE '^ *("(pv_pe_count|pv_size|vg_extent_count|vg_free|vg_free_count|vg_size)":|Used Dev Size : )' |
		sed -z -E 's/("size": )"[^"]*"(,\s*"type": "crypt")/\1\2/g'
}

# facts_identifiers: of normal facts (stdin), what holds whatever the sizes are, and in however many pieces a volume lies.
facts_identifiers() {
	grep -E '^(## |label|TYPE=|UUID=|LABEL=|VERSION=|PART_ENTRY_(NAME|UUID|TYPE|FLAGS|NUMBER)=|PTTYPE=|Filesystem (volume name|UUID|features|flags|revision|magic)|Default mount|Errors|Directory Hash|Inode size|Reserved blocks [ug]id|Maximum mount|Check interval|Block size|First meta|Journal (inode|UUID)|UUID:|Version:|Label:|Flags:|(disk|md)-.* : |\s*(cipher|Cipher|Raid Level|Array UUID|Name|Layout|Chunk Size|Device Role) |\s*"(lv|vg|pv)_(name|uuid|tags)|\s*"segtype)' |
		sed -E 's/(size|start)= *[0-9]+,? ?//g' |
		awk '/"lv_uuid"/ { held = $0; next }
			held != "" && /"segtype"/ { print held, $0 | "sort -u"; held = ""; next }
			held != "" { print held; held = "" }
			{ print }
			END { if (held != "") print held }'
}

# facts_by_hand: of normal facts (stdin), what holds when people recover with standard tools alone: LVM draws new UUIDs then.
facts_by_hand() {
	facts_identifiers | grep -vE '"(lv|vg|pv)_uuid"'
}
