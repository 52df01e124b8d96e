// Package costly holds texts of LogQL that are out of all proportion expensive to parse, for tests and
// benchmarks: each is to be refused before it is parsed, or short enough to be cheap.
package costly

import "strings"

// Text is one kind, of about as many bytes as are requested.
type Text struct {
	Name string
	Of   func(n int) string
}

// fill repeats unit behind head, to about n bytes, and closes with tail.
func fill(n int, head, unit, tail string) string {
	return head + strings.Repeat(unit, max(1, (n-len(head)-len(tail))/len(unit))) + tail
}

// Texts are the kinds.
var Texts = []Text{
	{"comments", func(n int) string { return fill(n, `{b="c"}`, "#\n", "") }},
	{"block comments", func(n int) string { return fill(n, `{b="c"}`, "/**/", "") }},
	{"function names as labels", func(n int) string { return fill(n, `{a="b"} | drop sum`, ",sum", "") }},
	{"duration as a label", func(n int) string { return fill(n, `{a="b"} | json duration`, ",duration", "") }},
	{"function names behind units", func(n int) string { return fill(n, `{a="b"} | a>5m`, "sum>5m", "") }},
	{"functions in capitals", func(n int) string { return fill(n, `{a="b"} | drop x`, ",SuM", "") }},
	{"numbers and minus signs", func(n int) string { return fill(n, "1", "--1", "") }},
	{"numbers", func(n int) string { return fill(n, "1", "+1", "") }},
	{"counted repetition", func(n int) string { return fill(n, `{a=~"`, "a{1000}", `"}`) }},
	{"nested repetition", func(n int) string { return fill(n, `{a=~"`, "((a{9}){9}){9}", `"}`) }},
	{"escaped repetition", func(n int) string { return fill(n, `{a=~"`, `a\x7b1000}`, `"}`) }},
	{"folded classes", func(n int) string { return fill(n, `{a=~"(?i)`, `[a-\\x{10ffff}]`, `"}`) }},
	{"folded classes, other flags", func(n int) string { return fill(n, `{a=~"(?msi)`, `[a-\\x{10ffff}]`, `"}`) }},
	{"many folded", func(n int) string { return fill(n, `{a="b"}`, ` | x=~"(?i)[a-\\x{10ffff}]"`, ``) }},
	{"alternatives", func(n int) string { return fill(n, `{a="b"} != "x"`, ` or ""`, "") }},
	{"quantifiers", func(n int) string { return fill(n, `{a=~"`, "a?", `"}`) }},
	{"Unicode classes", func(n int) string { return fill(n, `{a=~"`, `\\pL`, `"}`) }},
	{"negated Unicode classes", func(n int) string { return fill(n, `{a=~"`, `[^\\pL\\PN]`, `"}`) }},
	{"folded Unicode classes", func(n int) string { return fill(n, `{a=~"(?i)`, `\\pL`, `"}`) }},
	{"Unicode classes in many filters", func(n int) string { return fill(n, `{a="b"}`, `|x=~"\\pL"`, ``) }},
	{"folded range beyond ASCII", func(n int) string { return fill(n, `{a=~"(?i)`, "[a-\U0010ffff]", `"}`) }},
	{"calls of ip", func(n int) string { return fill(n, `{a="b"}`, `|=ip("::1")`, ``) }},
	{"wide classes", func(n int) string { return fill(n, `{a=~"`, `\\D`, `"}`) }},
	{"wide folded classes", func(n int) string { return fill(n, `{a=~"(?i)`, `[^a-z]x`, `"}`) }},
	{"named classes without an end", func(n int) string { return fill(n, `{a=~"[`, `[:abcdef`, `]"}`) }},
	{"wide named classes", func(n int) string { return fill(n, `{a=~"(?i)`, `[[:^digit:]]x`, `"}`) }},
	{"folded ranges", func(n int) string { return fill(n, `{a=~"(?i)`, `[B-\\x{1E942}]`, `"}`) }},
	{"wide class in many filters", func(n int) string { return fill(n, `{a="b"}`, `|x=~"\\S"`, ``) }},
	{"repeated wide class in a filter", func(n int) string { return fill(n, `{a="b"}`, `|x=~"\\D{99}"`, ``) }},
	{"sets of strings", func(n int) string { return fill(n, `{a=~"`+strings.Repeat("[ab]", 8), `(a)`, `"}`) }},
	{"rates", func(n int) string { return fill(n, `rate({}[1s])`, `/on(a)rate({}[1s])`, ``) }},
	{"label_replace", func(n int) string {
		k := n / len(`label_replace(,"","","","")`)
		return strings.Repeat(`label_replace(`, k) + "vector(1)" + strings.Repeat(`,"","","","")`, k)
	}},
	{"nested aggregations", func(n int) string { return fill(n, "", "sum(", "") }},
}
