// helm is Helm's own library as a judge of the embedded cluster: a chart is installed, upgraded, rolled back and uninstalled, and each time
// everything is waited for as `helm --wait` does. Usage: helm CHART, with KUBECONFIG set.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	namespace = "judged"
	name      = "web"
	patience  = time.Minute
)

func main() {
	if err := judge(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
	fmt.Println("helm: passed: install, upgrade, rollback, uninstall")
}

func judge(path string) error {
	settings := cli.New()
	settings.SetNamespace(namespace)
	config := new(action.Configuration)
	if err := config.Init(settings.RESTClientGetter(), namespace, "secret", func(string, ...any) {}); err != nil {
		return err
	}
	rest, err := settings.RESTClientGetter().ToRESTConfig()
	if err != nil {
		return err
	}
	cluster, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	chart, err := loader.Load(path)
	if err != nil {
		return err
	}

	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = name, namespace, true
	install.Wait, install.Timeout = true, patience
	if _, err := install.Run(chart, nil); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := expect(config, cluster, 1, 1, "hello"); err != nil {
		return fmt.Errorf("after install: %w", err)
	}

	upgrade := action.NewUpgrade(config)
	upgrade.Namespace, upgrade.Wait, upgrade.Timeout = namespace, true, patience
	if _, err := upgrade.Run(name, chart, map[string]any{"replicas": 3, "greeting": "good day"}); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if err := expect(config, cluster, 2, 3, "good day"); err != nil {
		return fmt.Errorf("after upgrade: %w", err)
	}
	if _, err := upgrade.Run(name, chart, map[string]any{"image": "Not A Name", "replicas": -1}); err == nil {
		return errors.New("an upgrade to what the API refuses has succeeded")
	}

	rollback := action.NewRollback(config)
	rollback.Version, rollback.Wait, rollback.Timeout = 1, true, patience
	if err := rollback.Run(name); err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	if err := expect(config, cluster, 4, 1, "hello"); err != nil {
		return fmt.Errorf("after rollback: %w", err)
	}

	uninstall := action.NewUninstall(config)
	uninstall.Wait, uninstall.Timeout, uninstall.DeletionPropagation = true, patience, "foreground"
	if _, err := uninstall.Run(name); err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	if _, err := config.Releases.Last(name); !errors.Is(err, driver.ErrReleaseNotFound) {
		return fmt.Errorf("after uninstall there is still a release: %v", err)
	}
	left, err := cluster.CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(left.Items) > 0 {
		return fmt.Errorf("after uninstall there are still %d pods", len(left.Items))
	}
	return nil
}

// expect says what is not as it should be of the release and of its objects.
func expect(config *action.Configuration, cluster kubernetes.Interface, revision int, replicas int32, greeting string) error {
	var faults []string
	last, err := action.NewStatus(config).Run(name)
	if err != nil {
		return err
	}
	if last.Version != revision || last.Info.Status != release.StatusDeployed {
		faults = append(faults, fmt.Sprintf("revision %d is %s", last.Version, last.Info.Status))
	}
	deployment, err := cluster.AppsV1().Deployments(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	// Those of the version before may still be there: Helm waits for the new ones alone.
	if *deployment.Spec.Replicas != replicas || deployment.Status.ReadyReplicas < replicas || deployment.Labels["app.kubernetes.io/managed-by"] != "Helm" {
		faults = append(faults, fmt.Sprintf("the Deployment has %d of %d pods and the labels %v",
			deployment.Status.ReadyReplicas, *deployment.Spec.Replicas, deployment.Labels))
	}
	settings, err := cluster.CoreV1().ConfigMaps(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if settings.Data["greeting"] != greeting {
		faults = append(faults, fmt.Sprintf("the greeting is %q", settings.Data["greeting"]))
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}
