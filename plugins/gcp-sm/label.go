package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of Secret Manager.
// https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1#secret
const (
	maxLabels      = 64
	maxLabel       = 63       // characters of a label's key or value, and of an annotation's key
	maxLabelBytes  = 128      // of its UTF-8
	maxAnnotations = 16 << 10 // bytes of all keys and values
)

var annotationForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$`)

// badLabels says what Secret Manager would refuse; empty: nothing.
func badLabels(labels map[string]string) string {
	if len(labels) > maxLabels {
		return "a secret has at most " + strconv.Itoa(maxLabels) + " labels"
	}
	for k, v := range labels {
		if first, _ := utf8.DecodeRuneInString(k); !isLabel(k) || !isLower(first) || !isLabel(v) {
			return "a label's key and value have at most 63 lower-case letters, digits, dashes and underscores; a key begins with a letter"
		}
	}
	return ""
}

func isLabel(text string) bool {
	return utf8.ValidString(text) && len(text) <= maxLabelBytes && utf8.RuneCountInString(text) <= maxLabel &&
		!strings.ContainsFunc(text, func(r rune) bool { return !isLower(r) && !unicode.IsNumber(r) && r != '-' && r != '_' })
}

// isLower reports whether r is a lower-case letter, or one of a script without cases.
func isLower(r rune) bool { return unicode.In(r, unicode.Ll, unicode.Lo) }

// badAnnotations says what Secret Manager would refuse; empty: nothing.
func badAnnotations(notes map[string]string) string {
	size := 0
	for k, v := range notes {
		if size += len(k) + len(v); len(k) > maxLabel || !annotationForm.MatchString(k) {
			return "an annotation's key has at most 63 letters, digits, dashes, underscores and dots, and begins and ends with a letter or digit"
		}
		if !utf8.ValidString(v) {
			return "an annotation is text"
		}
	}
	if size >= maxAnnotations {
		return "description and annotations have less than " + strconv.Itoa(maxAnnotations) + " bytes together"
	}
	return ""
}
