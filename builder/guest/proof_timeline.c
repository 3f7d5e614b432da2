#include "guest/proof_timeline.h"

#include "guest/proof_page.h"

/* Of the drawing, which is scaled as a whole. */
enum {
	LEFT = 210, /* where the bars begin: names are before them */
	RIGHT = 900, /* and where they end: how long is behind them */
	WIDTH = 1000,
	ROW = 30,
	BAR = 16,
	TOP = 26, /* for the scale */
};

/* What a drawing of all of it has to hold. Never 0. */
static double whole(const struct proof *p)
{
	double end = p->seconds;

	for (size_t i = 0; i < p->phase_count; i++) {
		const struct proof_phase *phase = &p->phases[i];
		double until = phase->begun + (phase->seconds > 0 ? phase->seconds : 0);

		end = until > end ? until : end;
	}
	return end >= 0.001 && end < 1e9 ? end : 1;
}

static double x_of(double at, double end)
{
	double share = at / end;

	return LEFT + (RIGHT - LEFT) * (share > 0 ? share < 1 ? share : 1 : 0); /* what is no number is 0 */
}

/* Between two lines of the scale: 1, 2 or 5 times a power of ten, or a round part of a minute or an hour. */
static double scale_step(double end)
{
	static const double steps[] = { 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,  0.1,   0.2,  0.5,
					1,     2,     5,     10,   15,   30,    60,    120,  300,
					600,   900,   1800,  3600, 7200, 14400, 21600, 43200 };
	size_t i = 0;

	while (i + 1 < sizeof(steps) / sizeof(*steps) && end / steps[i] > 8)
		i++;
	return end / steps[i] > 100 ? end / 8 : steps[i];
}

static void scale_text(struct strbuf *b, double at)
{
	unsigned long n = (unsigned long)(at + 0.5);

	if (at < 60 && at != (double)n)
		strbuf_printf(b, "%.3g s", at);
	else if (n < 60)
		strbuf_printf(b, "%lu s", n);
	else if (n < 3600)
		strbuf_printf(b, "%lu:%02lu min", n / 60, n % 60);
	else
		strbuf_printf(b, "%lu:%02lu h", n / 3600, n % 3600 / 60);
}

static void draw_scale(struct strbuf *b, double end, int bottom)
{
	double step = scale_step(end);

	for (unsigned i = 0; i * step <= end * 1.0001; i++) {
		double x = x_of(i * step, end);

		strbuf_printf(b, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
			      TOP - 6, bottom);
		strbuf_printf(b, "<text class=\"scale\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x,
			      TOP - 12);
		scale_text(b, i * step);
		strbuf_puts(b, "</text>\n");
	}
}

static void draw_phase(struct strbuf *b, const struct proof_phase *phase, double end, int y)
{
	double from = x_of(phase->begun, end), to = x_of(phase->begun + phase->seconds, end);

	strbuf_printf(b, "<text class=\"label\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 12,
		      y + BAR - 3);
	page_name_short(b, phase->name, 26);
	strbuf_printf(b,
		      "</text><rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"3\"/>",
		      phase->failed ? "bar bad" : "bar", from, y, to - from > 2 ? to - from : 2, BAR);
	strbuf_printf(b, "<text class=\"%s\" x=\"%d\" y=\"%d\">", phase->failed ? "took bad" : "took",
		      RIGHT + 14, y + BAR - 3);
	page_seconds(b, phase->seconds);
	strbuf_puts(b, "</text>\n");
}

static void draw_event(struct strbuf *b, double at, const char *text, double end, int top, int bottom)
{
	strbuf_printf(b,
		      "<g class=\"event\"><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
		      "<circle cx=\"%.1f\" cy=\"%d\" r=\"4\"/><title>",
		      x_of(at, end), x_of(at, end), top, bottom, x_of(at, end), bottom);
	page_seconds(b, at);
	strbuf_puts(b, ": ");
	page_name(b, text);
	strbuf_puts(b, "</title></g>\n");
}

static void draw_screenshot(struct strbuf *b, const struct proof_screenshot *s, double end, int y)
{
	strbuf_printf(b,
		      "<rect class=\"shot\" x=\"%.1f\" y=\"%d\" width=\"11\" height=\"9\" rx=\"2\"><title>",
		      x_of(s->at, end) - 5.5, y - 4);
	page_name(b, s->caption);
	strbuf_puts(b, "</title></rect>\n");
}

static void draw_label(struct strbuf *b, const char *text, int y)
{
	strbuf_printf(b, "<text class=\"scale\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 12,
		      y + 4, text);
}

void proof_timeline(struct strbuf *b, const struct proof *p)
{
	double end = whole(p);
	int bottom = TOP + (int)p->phase_count * ROW, events = bottom + 10;
	int shots = events + (p->event_count ? 24 : 0), height = shots + (p->screenshot_count ? 16 : 0);

	strbuf_printf(b,
		      "<svg class=\"timeline\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"The phases "
		      "against time; the table below has the same numbers\">\n",
		      WIDTH, height);
	draw_scale(b, end, bottom);
	for (size_t i = 0; i < p->phase_count; i++)
		draw_phase(b, &p->phases[i], end, TOP + (int)i * ROW + (ROW - BAR) / 2);
	if (p->event_count)
		draw_label(b, "events", events);
	for (size_t i = 0; i < p->event_count; i++)
		draw_event(b, p->events[i].at, p->events[i].text, end, TOP - 6, events);
	if (p->screenshot_count)
		draw_label(b, "screenshots", shots);
	for (size_t i = 0; i < p->screenshot_count; i++)
		draw_screenshot(b, &p->screenshots[i], end, shots);
	strbuf_puts(b, "</svg>\n");
}
