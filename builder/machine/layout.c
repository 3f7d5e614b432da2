#include "machine/layout.h"

#include "machine/minimum.h"
#include "machine/table.h"

uint64_t layout_grain(const struct machine *m, const struct device *holder)
{
	uint64_t grain = 1 << 20;

	for (size_t i = 0; i < m->count; i++)
		while (is_partition_of(m->devices[i], holder) && m->devices[i]->start % grain &&
		       grain > holder->sector_size)
			grain /= 2;
	return grain;
}

uint64_t layout_end(const struct machine *m, const struct device *holder)
{
	uint64_t end = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (is_partition_of(d, holder) && d->start + d->size > end)
			end = d->start + d->size;
	}
	return end;
}

uint64_t layout_spare(const struct machine *m, const struct device *partition, uint64_t grain)
{
	return (partition->size - device_minimum(m, partition)) / grain * grain;
}

uint64_t layout_total_spare(const struct machine *m, const struct device *holder, uint64_t grain)
{
	uint64_t total = 0;

	for (size_t i = 0; i < m->count; i++)
		if (is_partition_of(m->devices[i], holder))
			total += layout_spare(m, m->devices[i], grain);
	return total;
}

uint64_t layout_minimum(const struct machine *m, const struct device *holder)
{
	const struct table_ops *table = table_find(holder->table);
	uint64_t overhead = 0; /* the sectors that an MBR cannot count are not needed */

	if (table->kind == TABLE_GPT)
		overhead = holder->size - table->end(holder->size, holder->sector_size);
	return layout_end(m, holder) - layout_total_spare(m, holder, layout_grain(m, holder)) + overhead;
}
