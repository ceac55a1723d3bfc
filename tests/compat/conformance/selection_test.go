// Which specs are run: all of [Conformance], or all of network policies, but for what a file excludes, each with its reason.
package conformance

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"
	"sigs.k8s.io/yaml"
)

// group is a number of specs and what is said of them.
type group struct {
	// Clusters are those it concerns (see the flag), or none for all of [Conformance].
	Clusters []string `json:"clusters"`
	Reason   string   `json:"reason"`
	// Specs are regular expressions on the full texts of specs.
	Specs []string `json:"specs"`

	patterns []*regexp.Regexp
}

// policies is the one cluster on which other specs are run.
const policies = "netpol"

// selection is the file.
type selection struct {
	// label is what the full texts of the specs have in them.
	label string

	Excluded []group `json:"excluded"`
	// Failing are run, and known to fail.
	Failing []group `json:"failing"`
}

func readSelection(path, cluster string) (selection, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return selection{}, err
	}
	s, err := parseSelection(text, cluster)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return s, err
}

// parseSelection keeps the groups that concern a cluster.
func parseSelection(text []byte, cluster string) (selection, error) {
	s := selection{label: "[Conformance]"}
	if cluster == policies {
		s.label = "[Feature:NetworkPolicy]"
	}
	if err := yaml.UnmarshalStrict(text, &s); err != nil {
		return s, err
	}
	for _, groups := range []*[]group{&s.Excluded, &s.Failing} {
		var kept []group
		for _, g := range *groups {
			if g.Reason == "" || len(g.Specs) == 0 {
				return s, fmt.Errorf("a group needs a reason and specs: %+v", g)
			}
			if !slices.Contains(g.Clusters, cluster) && (len(g.Clusters) > 0 || cluster == policies) {
				continue
			}
			for _, spec := range g.Specs {
				pattern, err := regexp.Compile(spec)
				if err != nil {
					return s, err
				}
				g.patterns = append(g.patterns, pattern)
			}
			kept = append(kept, g)
		}
		*groups = kept
	}
	return s, nil
}

// find is the first of the groups that has a spec, or nil.
func find(groups []group, spec string) *group {
	for i := range groups {
		for _, pattern := range groups[i].patterns {
			if pattern.MatchString(spec) {
				return &groups[i]
			}
		}
	}
	return nil
}

// skipped are patterns of what is not run: of whole texts, because Ginkgo puts the suite's name before them.
func (s selection) skipped(specs []string) []string {
	var patterns []string
	for _, spec := range specs {
		if find(s.Excluded, spec) != nil {
			patterns = append(patterns, regexp.QuoteMeta(spec)+"$")
		}
	}
	return patterns
}

// judge keeps the specs in question, and says which patterns match none of them.
func (s selection) judge(specs []string) (judged, faults []string) {
	for _, spec := range specs {
		if strings.Contains(spec, s.label) {
			judged = append(judged, spec)
		}
	}
	for _, groups := range [][]group{s.Excluded, s.Failing} {
		for _, g := range groups {
			for _, pattern := range g.patterns {
				if !anyMatches(pattern, judged) {
					faults = append(faults, "no spec is called "+pattern.String())
				}
			}
		}
	}
	return judged, faults
}

// focused are patterns of the specs that one of the wanted patterns matches, or of all specs where none is wanted.
func focused(specs, wanted []string) ([]string, error) {
	pattern, err := regexp.Compile(strings.Join(wanted, "|"))
	if err != nil {
		return nil, err
	}
	var patterns []string
	for _, spec := range specs {
		if pattern.MatchString(spec) {
			patterns = append(patterns, regexp.QuoteMeta(spec)+"$")
		}
	}
	if len(patterns) == 0 {
		return nil, fmt.Errorf("no such spec is called %s", strings.Join(wanted, " or "))
	}
	return patterns, nil
}

func anyMatches(pattern *regexp.Regexp, specs []string) bool {
	for _, spec := range specs {
		if pattern.MatchString(spec) {
			return true
		}
	}
	return false
}

func texts(reports types.SpecReports) []string {
	var texts []string
	for _, report := range reports {
		texts = append(texts, report.FullText())
	}
	return texts
}

func lines(items []string) string { return "\n  " + strings.Join(items, "\n  ") }

func TestAPatternHasToMatchAConformanceSpec(t *testing.T) {
	s, err := parseSelection([]byte(`
excluded: [{reason: no, specs: ["^one "]}, {reason: elsewhere, clusters: [real], specs: [four]}]
failing: [{reason: why, specs: [three]}]`), "embedded")
	if err != nil {
		t.Fatal(err)
	}
	specs, faults := s.judge([]string{"one [Conformance]", "two [Conformance]", "three"})
	if len(specs) != 2 || len(faults) != 1 || !strings.Contains(faults[0], "three") {
		t.Errorf("%q %q", specs, faults)
	}
	if find(s.Excluded, specs[0]) == nil || find(s.Excluded, specs[1]) != nil {
		t.Error("the first one is excluded, the second one is not")
	}
}

func TestNetworkPoliciesHaveSpecsAndGroupsOfTheirOwn(t *testing.T) {
	s, err := parseSelection([]byte("excluded: [{reason: all, specs: [one]}, {reason: own, clusters: [netpol], specs: [two]}]"), policies)
	if err != nil {
		t.Fatal(err)
	}
	specs, faults := s.judge([]string{"one [Conformance]", "two [Feature:NetworkPolicy]"})
	if len(specs) != 1 || len(faults) > 0 || find(s.Excluded, specs[0]) == nil {
		t.Errorf("%q %q", specs, faults)
	}
}
