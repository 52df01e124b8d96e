package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// style is legible on light and on dark pages.
const style = `<style>
	text { font: 13px system-ui, sans-serif; fill: #24292f }
	.title { font-weight: 600 } .quiet { fill: #57606a } .axis { stroke: #8c959f; fill: none }
	.other { fill: #8c959f } .ours { fill: #0969da } .line { stroke: #0969da; fill: none; stroke-width: 2 }
	.second { stroke: #bc4c00; fill: none; stroke-width: 2 } .secondfill { fill: #bc4c00 }
	@media (prefers-color-scheme: dark) {
		text { fill: #e6edf3 } .quiet { fill: #9198a1 } .axis { stroke: #656c76 }
		.other { fill: #656c76 } .ours { fill: #4493f8 } .line { stroke: #4493f8 }
		.second { stroke: #f0883e } .secondfill { fill: #f0883e }
	}
</style>
`

func svg(width, height int, title, body string) string {
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>%s</title>\n%s%s</svg>\n",
		width, height, width, height, html.EscapeString(title), style, body)
}

func label(x, y float64, class, anchor, text string) string {
	return fmt.Sprintf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", x, y, class, anchor, html.EscapeString(text))
}

// loadChart shows what a request takes of a processor, as bars.
func (r *results) loadChart() string {
	const left, wide, row = 150.0, 420.0, 20.0
	var b strings.Builder
	top := 24.0
	b.WriteString(label(10, top, "title", "start", "Processor time of a request, in relation to net/http's own proxy"))
	most := 1.0
	for _, w := range workloads {
		for _, g := range r.Workloads[w.size] {
			most = max(most, g.CPURatio)
		}
	}
	for _, w := range workloads {
		top += 34
		b.WriteString(label(10, top, "title", "start", "Answers of "+w.name()))
		for _, name := range r.names {
			g, ok := r.Workloads[w.size][name]
			if !ok || name == nameDirect {
				continue
			}
			class := "other"
			if name == nameLogfence {
				class = "ours"
			}
			top += row
			b.WriteString(label(left-8, top, "quiet", "end", name))
			fmt.Fprintf(&b, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.1f\" height=\"14\" rx=\"2\" class=\"%s\"/>\n", left, top-11, g.CPURatio/most*wide, class)
			b.WriteString(label(left+g.CPURatio/most*wide+6, top, "", "start", fmt.Sprintf("%.2f", g.CPURatio)))
		}
	}
	return svg(640, int(top)+20, "Processor time of a request through logfence and through plain proxies", b.String())
}

// A plot is one panel of lines.
type plot struct {
	title, x, y string
	lines       []curve
	logarithmic bool // of x
}

// A curve is one line of it, and its class.
type curve struct {
	name, class string
	points      []point
}

func (p plot) draw(left, top, wide, high float64) string {
	var b strings.Builder
	mostX, mostY := 1.0, 1.0
	for _, c := range p.lines {
		for _, at := range c.points {
			mostX, mostY = max(mostX, at.At), max(mostY, at.Cost)
		}
	}
	x := func(v float64) float64 {
		if p.logarithmic {
			return left + math.Log10(max(v, 1))/math.Log10(max(mostX, 10))*wide
		}
		return left + v/mostX*wide
	}
	y := func(v float64) float64 { return top + high - v/mostY*high }
	b.WriteString(label(left-40, top-26, "title", "start", p.title))
	b.WriteString(label(left-40, top-8, "quiet", "start", p.y))
	b.WriteString(label(left+wide, top+high+36, "quiet", "end", p.x))
	fmt.Fprintf(&b, "<path class=\"axis\" d=\"M%.1f %.1f V%.1f H%.1f\"/>\n", left, top, top+high, left+wide)
	for _, v := range []float64{0, mostY / 2, mostY} {
		b.WriteString(label(left-6, y(v)+4, "quiet", "end", fmt.Sprintf("%.0f", v)))
	}
	for i, c := range p.lines {
		var path strings.Builder
		for j, at := range c.points {
			fmt.Fprintf(&path, "%s%.1f %.1f ", "ML"[min(j, 1):min(j, 1)+1], x(at.At), y(at.Cost))
			if i == 0 {
				b.WriteString(label(x(at.At), top+high+18, "quiet", "middle", fmt.Sprintf("%.0f", at.At)))
			}
		}
		if len(c.points) == 0 {
			continue
		}
		last := c.points[len(c.points)-1]
		fmt.Fprintf(&b, "<path class=\"%s\" d=\"%s\"/>\n", c.class, strings.TrimSpace(path.String()))
		b.WriteString(label(x(last.At)+6, y(last.Cost)+4, "", "start", c.name))
	}
	return b.String()
}

// growthChart shows how costs grow: with a query's length, and with the number of tenants and callers.
func (r *results) growthChart() string {
	length := func(kind string) (points []point) {
		for _, n := range []float64{1, 2, 4, 8, 12, 16} {
			if ns, ok := r.Go[fmt.Sprintf("BenchmarkFenceLength/%s/%.0fKB", kind, n)]; ok {
				points = append(points, point{n, ns / 1000})
			}
		}
		return points
	}
	fence := plot{title: "Fencing a query, not seen lately", y: "µs of a processor", x: "length, KB", lines: []curve{
		{"fence", "line", length("fence")}, {"one parse", "second", length("parse")},
	}}
	many := plot{title: "A request of 2 KB", y: "µs of a processor", x: "how many", logarithmic: true, lines: []curve{
		{"tenants", "line", r.Tenants}, {"callers", "second", r.Callers},
	}}
	return svg(820, 300, "How costs grow", fence.draw(60, 60, 260, 180)+many.draw(470, 60, 260, 180))
}
