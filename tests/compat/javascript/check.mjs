// The official JavaScript client as a judge: create, read, change, delete, watch, an informer, server-side apply, dynamic kinds.
import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = 'judged';
let done = 0;
const step = (name) => { done += 1; console.log(`javascript: ${name}`); };
const refused = (code, promise) => assert.rejects(promise, (error) => error.code === code);
const limit = setTimeout(() => { console.error('javascript: no end after 120 s'); process.exit(1); }, 120_000);

await core.createNamespace({ body: { metadata: { name: namespace } } });

const made = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'a', labels: { app: 'x' } }, data: { k: '1' } } });
made.data.k = '2';
await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made });
await refused(409, core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made }));
await refused(404, core.readNamespacedConfigMap({ name: 'nothing', namespace }));
await refused(422, core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'A_' } } }));
const patched = await core.patchNamespacedConfigMap({ name: 'a', namespace, body: [{ op: 'add', path: '/data/l', value: '3' }] });
assert.deepEqual(patched.data, { k: '2', l: '3' });
assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'app=x' })).items.length, 1);
step('objects are made, read, changed and refused');

const seen = [];
const version = (await core.listNamespacedSecret({ namespace })).metadata.resourceVersion;
const ended = new Promise((resolve, reject) => {
  const told = (type, object) => { seen.push(`${type} ${object.metadata.name}`); if (type === 'DELETED') resolve(); };
  // What ends it later is no fault: the program ends, too.
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  new k8s.Watch(config).watch(path, { resourceVersion: version }, told, (error) => error && reject(error)).catch(reject);
});
await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { k: 'v' } } });
await core.deleteNamespacedSecret({ name: 's', namespace });
await ended;
assert.deepEqual(seen, ['ADDED s', 'DELETED s']);
step('a watch tells of every change');

const labels = { app: 'web' };
const informer = k8s.makeInformer(config, `/apis/apps/v1/namespaces/${namespace}/deployments`, () => apps.listNamespacedDeployment({ namespace }));
const ready = new Promise((resolve) => informer.on('update', (object) => { if (object.status?.readyReplicas === 2) resolve(); }));
const connected = new Promise((resolve) => informer.on('connect', resolve));
await informer.start();
await connected;
await apps.createNamespacedDeployment({
  namespace,
  body: {
    metadata: { name: 'web' },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } } },
  },
});
await ready;
await informer.stop();
assert.equal((await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items.length, 2);
step('an informer sees a Deployment become ready');

const wanted = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data: { k: '1' } };
const apply = (manager, force) => objects.patch(wanted, undefined, undefined, manager, force, k8s.PatchStrategy.ServerSideApply);
await apply('one', false);
wanted.data.k = '2';
await refused(409, apply('two', false));
const forced = await apply('two', true);
assert.deepEqual([forced.data.k, forced.metadata.managedFields.map((entry) => entry.manager)], ['2', ['two']]);
step('server-side apply knows who owns what');

await config.makeApiClient(k8s.ApiextensionsV1Api).createCustomResourceDefinition({
  body: {
    metadata: { name: 'widgets.judged.example.org' },
    spec: {
      group: 'judged.example.org', scope: 'Namespaced', names: { plural: 'widgets', kind: 'Widget' },
      versions: [{
        name: 'v1', served: true, storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', _default: {}, properties: { size: { type: 'integer', minimum: 1, _default: 3 } } } } } },
      }],
    },
  },
});
const widget = { apiVersion: 'judged.example.org/v1', kind: 'Widget', metadata: { name: 'w', namespace } };
assert.equal((await objects.create(widget)).spec.size, 3);
await refused(422, objects.create({ ...widget, metadata: { name: 'v', namespace }, spec: { size: 0 } }));
step("a kind of one's own has defaults and rules");

clearTimeout(limit);
console.log(`javascript: passed: ${done} of ${done}`);
process.exit(0);
