package limits

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestTable guarantees that no limit is forgotten: each field of [Limits] has a row, each row a field of its
// own, and each row says all that the rest follows from.
func TestTable(t *testing.T) {
	rows := map[any]string{}
	names := map[string]string{}
	var l Limits
	for i, d := range Table() {
		if d.Limit != Limit(i) || d.field == nil || d.Key == "" || d.Setting == "" || d.Meaning == "" || d.Default == 0 {
			t.Errorf("row %d is not complete: %+v", i, d)
			continue
		}
		if (d.Me == "") != (d.Description == "") {
			t.Errorf("%s: what callers are told has a name and a description, or neither", d.Key)
		}
		if d.Me != "" && (d.Unit == UnitDuration) != strings.HasSuffix(d.Me, "_seconds") {
			t.Errorf("%s: %s has the wrong unit", d.Key, d.Me)
		}
		field := d.Field(&l)
		if other, twice := rows[field]; twice {
			t.Errorf("%s and %s are the same field", d.Key, other)
		}
		rows[field] = d.Key
		for _, name := range []string{"key " + d.Key, "setting " + d.Setting, "me " + d.Me} {
			if other, twice := names[name]; twice && name != "me " {
				t.Errorf("%s is also that of %s", name, other)
			}
			names[name] = d.Key
		}
		if _, duration := field.(*time.Duration); duration != (d.Unit == UnitDuration) {
			t.Errorf("%s is a %T, and its unit is %d", d.Key, field, d.Unit)
		}
		d.Set(&l, 7)
		if got := d.Get(&l); got != 7 {
			t.Errorf("%s was set to 7 and is %d", d.Key, got)
		}
	}
	for i := range reflect.TypeFor[Limits]().NumField() {
		if _, ok := rows[reflect.ValueOf(&l).Elem().Field(i).Addr().Interface()]; !ok {
			t.Errorf("%s has no row in the table", reflect.TypeFor[Limits]().Field(i).Name)
		}
	}
}

// TestLimitsValidate guarantees that the defaults are good, and that each limit is held to its bounds, one that
// is added later included.
func TestLimitsValidate(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for _, d := range Table() {
		bad := []int64{d.Min - 1}
		if d.Max > 0 {
			bad = append(bad, d.Max+1)
		}
		for _, value := range bad {
			l := Defaults()
			d.Set(&l, value)
			if err := l.Validate(); err == nil || !strings.HasPrefix(err.Error(), d.Key+": must be ") {
				t.Errorf("%s of %d: %v", d.Key, value, err)
			}
		}
		l := Defaults()
		d.Set(&l, d.Min)
		if err := l.Validate(); err != nil {
			t.Errorf("%s of %d: %v", d.Key, d.Min, err)
		}
	}
}

// TestReport guarantees that callers are told every limit that the table says they are, in whole seconds.
func TestReport(t *testing.T) {
	l := Defaults()
	report := l.Report()
	told := 0
	for _, d := range Table() {
		want := d.Get(&l)
		if d.Unit == UnitDuration {
			want /= int64(time.Second)
		}
		if d.Me == "" {
			continue
		}
		told++
		if got, ok := report[d.Me]; !ok || got != want {
			t.Errorf("%s is %d, want %d", d.Me, got, want)
		}
	}
	if told != len(report) {
		t.Errorf("%d are reported, want %d", len(report), told)
	}
}

// TestConcurrency guarantees that each class that keeps Loki busy is bounded, by one limit.
func TestConcurrency(t *testing.T) {
	for c := range classCount {
		n := 0
		for _, d := range Table() {
			if d.Concurrency && d.Class == c {
				n++
			}
		}
		if want := map[bool]int{true: 0, false: 1}[c == ClassRequest]; n != want {
			t.Errorf("%d limits bound how many %s are in flight, want %d", n, c, want)
		}
	}
}
