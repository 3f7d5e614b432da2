/* Records of proofs as a machine could have them, for tests and for looking at the page. */
#pragma once
#include "guest/proof.h"

#include <math.h>

#define LAB_ONE "4f1c0bd2a6e80b3a1f4f6c7b1c1f77a8be0cb0c6a63b1d36a4b8df3f0e9b7a51"
#define LAB_TWO "b7d9a2f00c1e4d5f8a9b0c1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5a6b7c8d9eaf0"

static inline void lab_phase(struct proof *p, const char *name, double begun, double seconds)
{
	(void)proof_phase(p, name);
	proof_phase_end(p, false);
	p->phases[p->phase_count - 1].begun = begun;
	p->phases[p->phase_count - 1].seconds = seconds;
}

static inline void lab_event(struct proof *p, double at, const char *text)
{
	proof_add_event(p, "%s", text);
	p->events[p->event_count - 1].at = at;
}

static inline void lab_subject(struct proof *p)
{
	proof_begin(p);
	p->created = 1769903999;
	p->machine.host = xstrdup("alpha");
	p->machine.firmware = xstrdup("uefi");
	proof_add_disk(p, "sda", 240057409536, 512, "S3Z8NB0K716093", "LIFEBOAT-7f3a-0");
	proof_add_disk(p, "nvme0n1", 1000204886016, 4096, "S4EWNX0R401278", "LIFEBOAT-7f3a-1");
	p->medium.path = xstrdup("/var/lib/lifeboat/stick.img");
	memcpy(p->medium.sha256, LAB_ONE, sizeof(LAB_ONE));
	p->medium.bytes = 67108864;
	p->set.target = xstrdup("smb://backup@files.example.org/machines");
	p->set.name = xstrdup("alpha/20260131T021502Z-0");
	memcpy(p->set.sha256, LAB_TWO, sizeof(LAB_TWO));
	p->set.files = 27514;
	p->set.bytes = 1934200131;
	p->planned = (struct proof_resources) { 2147483648, 9663676416, 2 };
	p->used = (struct proof_resources) { 1288490188, 6012954214, 2 };
}

static inline void lab_course(struct proof *p)
{
	lab_phase(p, "verify the set", 0, 3.4);
	lab_phase(p, "make blank disks", 3.4, 0.2);
	lab_phase(p, "boot the medium", 3.6, 21.8);
	lab_phase(p, "recover", 25.4, 96.2);
	lab_phase(p, "power off", 121.6, 2.1);
	lab_phase(p, "boot the recovered system", 123.7, 38.9);
	lab_phase(p, "compare", 162.6, 9.7);
	lab_event(p, 3.6, "the guest has no way to the outside: its network is cut off");
	lab_event(p, 25.4, "the rescue system is ready");
	lab_event(p, 31.0, "partition tables written");
	lab_event(p, 118.2, "boot loader installed on sda");
	lab_event(p, 123.7, "started without the medium");
	lab_event(p, 158.3, "alpha login:");
}

/* What a record has that is proven. */
static inline void lab_proven(struct proof *p)
{
	lab_subject(p);
	proof_count(p, PROOF_FILES, PROOF_EQUAL, 27511);
	proof_count(p, PROOF_FILES, PROOF_EXPLAINED, 3);
	proof_count(p, PROOF_IDENTIFIERS, PROOF_EQUAL, 38);
	proof_add_difference(p, PROOF_FILES, "/var/log/wtmp", "size", "1152", "1920",
			     "the recovered system was started");
	proof_add_difference(p, PROOF_FILES, "/var/lib/systemd/random-seed", "sha256", LAB_ONE, LAB_TWO,
			     "written at each start");
	proof_add_difference(p, PROOF_FILES, "/etc/machine-id.new", "", NULL, NULL,
			     "a name without anything");
	lab_course(p);
	proof_add_check(p, "systemd is running", true, "running\n");
	proof_add_check(p, "login prompt", true, "alpha login:");
	proof_add_check(p, "port 443 answers", true, "HTTP/1.1 200 OK\nServer: nginx\n");
}

/* Decided as if it had taken as long as its phases. */
static inline void lab_conclude(struct proof *p)
{
	proof_conclude(p);
	p->seconds = 172.6;
}

static inline void lab_sample(struct proof *p)
{
	lab_subject(p);
	p->sampled = true;
	p->seed = 18446744073709551615u;
	p->share = 0.05;
	proof_count(p, PROOF_FILES, PROOF_EQUAL, 1376);
	proof_count(p, PROOF_IDENTIFIERS, PROOF_EQUAL, 38);
	lab_course(p);
	proof_add_check(p, "login prompt", true, NULL);
}

static inline void lab_failed(struct proof *p)
{
	lab_subject(p);
	proof_count(p, PROOF_FILES, PROOF_EQUAL, 27510);
	proof_count(p, PROOF_FILES, PROOF_EXPLAINED, 1);
	proof_count(p, PROOF_FILES, PROOF_DIFFERENT, 3);
	proof_count(p, PROOF_IDENTIFIERS, PROOF_EQUAL, 37);
	proof_count(p, PROOF_IDENTIFIERS, PROOF_DIFFERENT, 1);
	proof_add_difference(p, PROOF_FILES, "/var/log/wtmp", "size", "1152", "1920",
			     "the recovered system was started");
	proof_add_difference(p, PROOF_FILES, "/usr/bin/ping", "capabilities", "cap_net_raw=ep", NULL, NULL);
	proof_add_difference(p, PROOF_FILES, "/etc/ssl/private/server.key", "mode", "0600", "0644", NULL);
	proof_add_difference(p, PROOF_FILES, "/srv/data/ledger.sqlite", "sha256", LAB_ONE, LAB_TWO, NULL);
	proof_add_difference(p, PROOF_IDENTIFIERS, "sda2", "uuid", "5a0c7c1e-7b6e-4d2a-8f0f-0d9a1d0b7c11",
			     "c0ffee00-7b6e-4d2a-8f0f-0d9a1d0b7c11", NULL);
	lab_course(p);
	proof_add_check(p, "systemd is running", false,
			"degraded\n\x1b[0;1;31m*\x1b[0m nginx.service  loaded failed failed\n");
	proof_add_check(p, "login prompt", true, "alpha login:");
}

/* Names and consoles by somebody who wants the page to say something else. */
static inline void lab_hostile(struct proof *p)
{
	lab_failed(p);
	free(p->machine.host);
	p->machine.host = xstrdup("</title><script>alert('host')</script>");
	free(p->medium.path);
	p->medium.path = xstrdup("/media/\xff\xfe\x1b[2J\"onload=\"alert(1)");
	free(p->set.name);
	p->set.name = xstrdup("\xe2\x80\xae"
			      "nevorp");
	proof_add_difference(p, PROOF_FILES, "/srv/<img src=x onerror=alert(1)>\n/etc/passwd", "sha256",
			     "&lt;", "]]></pre><script>document.body.textContent='PROVEN'</script>", NULL);
	proof_add_difference(p, PROOF_FILES, "/srv/back\\slash \x01\x7f\xc2\x85", "na\"me", "'", "", NULL);
	proof_add_check(p, "<style>.failed{display:none}</style>", false,
			"</pre><h1>Proven</h1>\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n\x00");
	lab_phase(p, "</text></svg><script>alert(2)</script>", NAN, -1);
	lab_phase(p, "a phase that began before all, with a name that is longer than there is room", -1e300,
		  1e300);
	lab_event(p, 1e18, "</title><script>alert(3)</script>");
}
