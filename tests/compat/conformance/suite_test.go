// Package conformance is Kubernetes' own conformance suite as a library, run against a cluster that is no whole Kubernetes: the API and
// its controllers, with no container behind any pod. Which specs that concerns is in selection.yaml. See `run`.
package conformance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	_ "k8s.io/component-base/logs/testinit"
	commontest "k8s.io/kubernetes/test/e2e/common"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	e2etestingmanifests "k8s.io/kubernetes/test/e2e/testing-manifests"
	testfixtures "k8s.io/kubernetes/test/fixtures"

	_ "k8s.io/kubernetes/test/e2e/apimachinery"
	_ "k8s.io/kubernetes/test/e2e/apps"
	_ "k8s.io/kubernetes/test/e2e/architecture"
	_ "k8s.io/kubernetes/test/e2e/auth"
	_ "k8s.io/kubernetes/test/e2e/instrumentation"
	_ "k8s.io/kubernetes/test/e2e/kubectl"
	_ "k8s.io/kubernetes/test/e2e/network"
	_ "k8s.io/kubernetes/test/e2e/node"
	_ "k8s.io/kubernetes/test/e2e/scheduling"
	_ "k8s.io/kubernetes/test/e2e/storage"

	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"
	_ "k8s.io/kubernetes/test/e2e/framework/metrics/init"
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"
	_ "k8s.io/kubernetes/test/utils/format"
)

var (
	selectionFile = flag.String("selection", "selection.yaml", "which specs are not run, and which are known to fail")
	cluster       = flag.String("cluster", "embedded", "what is run on which cluster: embedded or real, or with pods that are containers, node or real-node; or the specs of network policies, netpol")
	resultFile    = flag.String("result", "", "where to write the result, as Markdown")
	summaryFile   = flag.String("summary", "", "where to write what came out, for a terminal: of processes side by side nothing else is shown")
)

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	testfiles.AddFileSource(e2etestingmanifests.GetE2ETestingManifestsFS())
	testfiles.AddFileSource(testfixtures.GetTestFixturesFS())
	framework.AfterReadingAllFlags(&framework.TestContext)
	os.Exit(m.Run())
}

// The suite's own preparations wait for a node's system pods, which nobody needs here.
var _ = ginkgo.BeforeSuite(func(context.Context) {
	commontest.CurrentSuite = commontest.E2E
	framework.TestContext.IPFamily = "ipv4"
})

// TestConformance runs what the selection leaves of the specs, or of those that `--ginkgo.focus` names, and fails unless
// exactly those fail that are known to.
func TestConformance(t *testing.T) {
	chosen, err := readSelection(*selectionFile, *cluster)
	if err != nil {
		t.Fatal(err)
	}
	gomega.RegisterFailHandler(framework.Fail)
	suite, reporter := ginkgo.GinkgoConfiguration()
	all, faults := chosen.judge(texts(ginkgo.PreviewSpecs("conformance").SpecReports))
	if len(faults) > 0 {
		t.Fatalf("%s: %s", *selectionFile, lines(faults))
	}
	partly := len(suite.FocusStrings) > 0
	if suite.FocusStrings, err = focused(all, suite.FocusStrings); err != nil {
		t.Fatal(err)
	}
	suite.SkipStrings = append(suite.SkipStrings, chosen.skipped(all)...)
	outcome := newResult(all, chosen)
	results = func(report ginkgo.Report) { outcome.add(report.SpecReports) }
	// A failed spec fails the testing.T that it is given; which failures matter is decided below.
	ginkgo.RunSpecs(&testing.T{}, "conformance", suite, reporter)
	if suite.ParallelProcess > 1 {
		// The first process gets the reports of all.
		return
	}
	faults = outcome.faults(partly)
	summary := outcome.text() + "\n"
	if len(faults) > 0 {
		summary += "not as the selection says: " + lines(faults) + "\n"
	}
	if *summaryFile == "" {
		fmt.Print(summary)
	} else if err := os.WriteFile(*summaryFile, []byte(summary), 0o644); err != nil {
		t.Fatal(err)
	}
	if *resultFile != "" && !partly {
		if err := os.WriteFile(*resultFile, []byte(outcome.markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(faults) > 0 {
		t.Fail()
	}
}

// results gets the reports of all specs at the end of the suite.
var results func(ginkgo.Report)

var _ = ginkgo.ReportAfterSuite("the results", func(report ginkgo.Report) { results(report) })
