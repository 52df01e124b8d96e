package main

import (
	"context"
	"fmt"
)

// The most tenants and callers that growth is measured with.
const (
	mostTenants = 10_000
	mostCallers = 1000
)

// A point is what a response costs in processor microseconds, with so many tenants or callers.
type point struct{ at, cost float64 }

// measureGrowth measures what becomes of a 2 KB response's cost where there are more tenants, each seen
// before, and more callers at once.
func (b *bench) measureGrowth(ctx context.Context, c *contestant, r *results) (err error) {
	for n := 1; n <= mostTenants; n *= 10 {
		if r.tenants, err = b.grow(ctx, c, r.tenants, n, 16, b.tokens[:n]); err != nil {
			return err
		}
	}
	for n := 1; n <= mostCallers; n *= 10 {
		if r.callers, err = b.grow(ctx, c, r.callers, n, n, b.tokens[:1]); err != nil {
			return err
		}
	}
	fmt.Println(r.growthTable())
	return nil
}

func (b *bench) grow(ctx context.Context, c *contestant, points []point, at, callers int, tokens []string) ([]point, error) {
	w := sized(fmt.Sprintf("growth to %d", at), "2KB", callers, max(2*at, 1000))
	var costs []float64
	for i := range 4 {
		r, err := b.load(ctx, c, w, tokens)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first is to warm up
			costs = append(costs, r.cpu)
		}
	}
	return append(points, point{float64(at), middle(costs)}), nil
}

// growth is the last point's cost as a multiple of the first's; 0 without points.
func growth(points []point) float64 {
	if len(points) == 0 {
		return 0
	}
	return points[len(points)-1].cost / points[0].cost
}
