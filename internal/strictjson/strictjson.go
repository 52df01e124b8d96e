// Package strictjson reads JSON that every parser reads the same way.
//
// Guarantee: what [Object] accepts is one JSON object and nothing after it, in valid UTF-8; no object in it has a
// member's name twice, and names count exactly as they are written. Numbers are kept as text.
//
// Not promised here: that the input is short. The caller bounds it.
//
// Not json.Unmarshal into a struct: that takes the last of two members of one name, and matches names in any letter
// case, so that {"tenant_id":"a","Tenant_Id":"b"} is a puzzle which two readers solve differently. encoding/json/v2,
// which refuses both, is still an experiment of Go's.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may be nested. How many there are is bounded by the input's length.
const maxDepth = 16

// Object reads one JSON object. Its errors hold nothing of the input but the name of a member, shortened.
func Object(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	if !json.Valid(data) { // all of it, which a Decoder's tokens do not promise
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := decodeValue(dec, 1)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	if delim == '[' {
		return decodeArray(dec, depth)
	}
	return decodeMembers(dec, depth)
}

func decodeArray(dec *json.Decoder, depth int) (any, error) {
	items := []any{}
	for dec.More() {
		v, err := decodeValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	_, err := dec.Token() // the closing bracket
	return items, err
}

func decodeMembers(dec *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a member's name is not a string")
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("member %.120q is given twice", name)
		}
		if object[name], err = decodeValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token() // the closing brace
	return object, err
}
