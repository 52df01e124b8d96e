package tail

import (
	"encoding/binary"
	"math/bits"
)

// lineSums is a set of lines of one nanosecond, in a size that does not grow with it. It cannot be listed; but
// beside the lines that the nanosecond has now, it shows which of them are in it.
//
// Each line is a vector of 64 bits in one of the buckets, and a bucket is the sum (exclusive or) of its lines. Of the
// candidates of a bucket, those in the set are the ones that add up to it: a system of linear equations. Up to
// about 50 candidates of a bucket are independent, so that there is one solution; 192 buckets serve for more lines than Loki
// returns at once. Where candidates are dependent (one in 2^20 for a set of 5,000) the lines of their bucket
// count as not delivered: a repeated line is better than a lost one.
//
// A Bloom filter or a list of shorter fingerprints loses lines, a longer list has no room in a header, and the
// number of lines does not tell which they are when others have come meanwhile.
type lineSums struct {
	buckets [sumBuckets]uint64
	// counts is how often each line was added: a line that occurs twice is two. It is not in the packed form.
	counts map[uint64]int
}

const (
	sumBuckets = 192
	// sumsVersion is the first byte of the packed form, whose length no list of fingerprints has.
	sumsVersion = 1
	sumsBytes   = 1 + 8*sumBuckets
)

// add adds a line by its fingerprint of 48 bits.
func (s *lineSums) add(fp uint64) {
	if s.counts == nil {
		s.counts = map[uint64]int{}
	}
	bucket, vector := placeOf(fp, s.counts[fp])
	s.buckets[bucket] ^= vector
	s.counts[fp]++
}

// placeOf is the bucket and the vector of a line that was added so many times before.
func placeOf(fp uint64, before int) (bucket int, vector uint64) {
	const golden = 0x9e3779b97f4a7c15
	vector = mix(fp + golden*uint64(before+1)) //nolint:gosec // a count
	high, _ := bits.Mul64(mix(vector), sumBuckets)
	return int(high), vector //nolint:gosec // less than sumBuckets
}

// mix is the finalizer of SplitMix64: each bit of the result depends on all of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// delivered returns which of the lines, given by their fingerprints, are in the set, and how often.
func (s *lineSums) delivered(prints []uint64) map[uint64]int {
	var vectors [sumBuckets][]uint64
	var owners [sumBuckets][]uint64
	occurred := map[uint64]int{}
	for _, f := range prints {
		short := fold48(f)
		bucket, vector := placeOf(short, occurred[short])
		occurred[short]++
		vectors[bucket] = append(vectors[bucket], vector)
		owners[bucket] = append(owners[bucket], f)
	}
	counts := map[uint64]int{}
	for bucket, sum := range s.buckets {
		chosen, _ := solve(vectors[bucket], sum)
		for i, owner := range owners[bucket] {
			if chosen&(1<<i) != 0 {
				counts[owner]++
			}
		}
	}
	return counts
}

// solve returns which of the vectors add up to a sum, one bit each; false if that cannot be told.
func solve(vectors []uint64, sum uint64) (chosen uint64, ok bool) {
	if len(vectors) > 64 {
		return 0, false // more than there are dimensions: dependent
	}
	// A basis with one vector for each leading bit, and which of the given ones it is made of.
	var basis, made [64]uint64
	reduce := func(v, from uint64) (uint64, uint64) {
		for v != 0 {
			lead := bits.Len64(v) - 1
			if basis[lead] == 0 {
				break
			}
			v, from = v^basis[lead], from^made[lead]
		}
		return v, from
	}
	for i, v := range vectors {
		rest, from := reduce(v, 1<<i)
		if rest == 0 {
			return 0, false
		}
		lead := bits.Len64(rest) - 1
		basis[lead], made[lead] = rest, from
	}
	rest, chosen := reduce(sum, 0)
	if rest != 0 {
		return 0, false // a line of the set is there no more
	}
	return chosen, true
}

// pack is the set as bytes.
func (s *lineSums) pack() []byte {
	packed := make([]byte, 1, sumsBytes)
	packed[0] = sumsVersion
	for _, sum := range s.buckets {
		packed = binary.BigEndian.AppendUint64(packed, sum)
	}
	return packed
}

func unpackSums(packed []byte) (*lineSums, bool) {
	if len(packed) != sumsBytes && len(packed) != sumsBytes+seenBytes || packed[0] != sumsVersion {
		return nil, false
	}
	s := &lineSums{}
	for i := range s.buckets {
		s.buckets[i] = binary.BigEndian.Uint64(packed[1+8*i:])
	}
	return s, true
}
