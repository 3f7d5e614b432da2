/* Numbers: rounded to units, and read from where they lie in formats of others, aligned or not. */
#pragma once
#include <endian.h>
#include <stdint.h>
#include <string.h>

/* The next multiple of `unit`; the number itself where there is no unit (0). */
static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return unit > 1 ? (n + unit - 1) / unit * unit : n;
}

static inline uint16_t le16_at(const void *p)
{
	uint16_t n;

	memcpy(&n, p, sizeof(n));
	return le16toh(n);
}

static inline uint32_t le32_at(const void *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

static inline uint64_t le64_at(const void *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return le64toh(n);
}
