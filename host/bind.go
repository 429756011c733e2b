package host

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/keyway-dev/keyway/sdk"
)

// place is a Live and where in a configuration it stands.
type place struct {
	path string
	live *Live
}

// Bind makes every *Live in cfg live: in structs, pointers, slices, arrays, maps and interfaces, exported fields only. All
// are read in one pass. The error joins one for each that could not be read, with its field and reference; every other
// one, and every one that was only unreachable, is bound all the same, so that
//
//	if err := h.Bind(ctx, &cfg); err != nil && !host.Retryable(err) { return err }
//
// starts a gateway whose backend comes later. A nil *Live, or one without a reference, is left alone.
func (h *Host) Bind(ctx context.Context, cfg any) error {
	w := walker{seen: map[uintptr]bool{}}
	w.walk(reflect.ValueOf(cfg), "")
	if w.copied != "" {
		return sdk.Errorf(sdk.InvalidArgument, "bind: field %s is a host.Live by value; it must be a *host.Live", w.copied)
	}
	return h.bindAll(ctx, w.found)
}

func (h *Host) bindAll(ctx context.Context, places []place) error {
	var failed []error
	bindings := map[string]*binding{}
	for _, p := range places {
		b, err := h.bind(p.live.ref)
		if err != nil {
			failed = append(failed, at(p, err))
			continue
		}
		bindings[p.live.ref] = b
		p.live.follow(b)
	}
	answers := h.fetch(ctx, bindings)
	for _, p := range places {
		b := bindings[p.live.ref]
		if b == nil {
			continue
		}
		if _, err := answers.of(ctx, b); err != nil {
			failed = append(failed, at(p, err))
		}
	}
	return errors.Join(failed...)
}

// at names the field that an error is about.
func at(p place, err error) error {
	if p.path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.path, err)
}

var liveType = reflect.TypeFor[Live]()

// walker finds the Lives of a tree.
type walker struct {
	found  []place
	seen   map[uintptr]bool // pointers, since a tree may hold a cycle
	copied string           // a Live by value
}

func (w *walker) walk(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || w.seen[v.Pointer()] {
			return
		}
		w.seen[v.Pointer()] = true
		if l, ok := v.Interface().(*Live); ok {
			if l.ref != "" {
				w.found = append(w.found, place{path, l})
			}
			return
		}
		w.walk(v.Elem(), path)
	case reflect.Interface:
		if !v.IsNil() {
			w.walk(v.Elem(), path)
		}
	case reflect.Struct:
		if v.Type() == liveType {
			w.copied = path
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				w.walk(v.Field(i), dotted(path, f.Name))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			w.walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			w.walk(it.Value(), fmt.Sprintf("%s[%v]", path, it.Key()))
		}
	}
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
