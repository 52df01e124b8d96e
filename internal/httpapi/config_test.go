package httpapi

import (
	"reflect"
	"slices"
	"testing"

	"github.com/logfence/logfence/internal/fielderror"
)

// TestNewNamesWhatIsMissing guarantees that a server is not made without what it needs, and that the error names all
// of it at once. A field that is added to Config is looked at: unless it is listed here as optional, New refuses to go
// without it.
func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	optional := []string{
		"Metrics", "Profiles", "Compat", "BasicToken", "TokenHeaders", "CORSOrigins", "TrustedProxies", "BasePath", "BasePathStripped", "Explore", "Heartbeat", "ClientTimeout", "MaxBody", "Now", "DrainSpread", "LokiTails", "Leeway", "InflightGrace", "LokiWarning", "LokiWalls", "Rules", "RulesErr",
	}
	complete := newGateway(t).config
	var required []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		c := complete
		reflect.ValueOf(&c).Elem().FieldByIndex(f.Index).SetZero()
		_, err := New(c)
		switch missing := missingIn(err); {
		case slices.Contains(optional, f.Name):
			if err != nil {
				t.Errorf("without %s: %v", f.Name, err)
			}
		case !slices.Equal(missing, []string{f.Name}):
			t.Errorf("without %s: %v", f.Name, err)
		default:
			required = append(required, f.Name)
		}
	}
	if _, err := New(Config{}); !slices.Equal(missingIn(err), required) {
		t.Errorf("without anything: %v; want all of %q", err, required)
	}
}

// missingIn lists the fields that an error of New names.
func missingIn(err error) (fields []string) {
	joined, ok := err.(interface{ Unwrap() error })
	if !ok {
		return nil
	}
	for _, mistake := range fielderror.All(joined.Unwrap()) {
		fields = append(fields, mistake.Field)
	}
	return fields
}

// TestNewRefusesAPatternAsOrigin guarantees that an origin of CORS is exact.
func TestNewRefusesAPatternAsOrigin(t *testing.T) {
	t.Parallel()
	c := newGateway(t).config
	c.CORSOrigins = []string{"*.example"}
	if _, err := New(c); err == nil {
		t.Error("a pattern was taken for an origin")
	}
}
