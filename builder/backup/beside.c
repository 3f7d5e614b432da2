#include "backup/beside.h"

#include "backup/flags.h"
#include "backup/listing_stream.h"
#include "backup/restored.h"
#include "backup/stream_thread.h"
#include "backup/times.h"

int beside_save(const struct save_job *job, const struct listing_walk *walk, const struct strbuf *flags,
		bool (*keeps_time)(const struct listed *f), const struct frames *frames, struct error *e)
{
	_cleanup_(listing) struct listing listing = { 0 };
	int r = listing_walk(walk, &listing, job->report, e);
	const struct listing_source source = listing_source(&listing);

	if (r == 0)
		r = listing_save(job->w, job->name, frames, &source, e);
	if (r == 0)
		r = times_save(job->w, job->name, &source, keeps_time, e);
	if (r == 0)
		r = listing_sound(&listing, e);
	return r < 0 ? r : stream_add_text(job->w, job->name, FLAGS_METHOD, flags, e);
}

int beside_restore(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e)
{
	int r = times_restore(s, name, folder, true, e);

	if (r == 0)
		r = flags_restore(s, name, folder, e);
	return r < 0 ? r : restored_check(s, name, folder, report, e);
}
