#include "cmd/sums.h"

#include "base/str.h"

#include <stdio.h>

void sums_print(const struct image_sums *sums, const char *kind)
{
	(void)printf("%10s  %6s  %6s  %10s  %6s  %s\n", "SIZE", "SHARE", "FILES", "ALONE", "SHARE", kind);
	for (size_t i = 0; i < sums->count; i++) {
		const struct image_sum *sum = &sums->list[i];
		char size[SIZE_TEXT_MAX], alone[SIZE_TEXT_MAX];

		(void)printf("%10s  %4.1f %%  %6zu  ", format_size(sum->size, size), sum->share * 100,
			     sum->files);
		if (!sum->is_one)
			(void)printf("%10s  %6s  (%s)\n", "", "", sum->name ? sum->name : "others");
		else
			(void)printf("%10s  %4.1f %%  %s\n", format_size(sum->alone_size, alone),
				     sum->alone_share * 100, sum->name);
	}
}
