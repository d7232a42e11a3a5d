"""Training on data sets in S3: against a local server that checks every signature, with keys from the
environment and from the AWS files; and that keys are printed and stored nowhere."""

import json
import logging

import boto3
from moto import settings
from moto.server import ThreadedMotoServer

from faulty_store import FaultyStore
from secrets_test import leaks
from support import BAD_INPUT, RunTest, main

SOURCES = ('code', 'prose', 'sums')
REGION = 'eu-west-1'
CANARY = 'canary-k3y-d0-n0t-pr1nt'


class S3Server:
    """With one account, which may read, and the bucket `corpora`."""

    def __init__(self):
        logging.getLogger('werkzeug').setLevel(logging.ERROR)
        self._server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f'http://{host}:{port}'
        iam, self._s3 = self._client('iam'), self._client('s3')
        iam.create_user(UserName='reader')
        key = iam.create_access_key(UserName='reader')['AccessKey']
        self.key, self.secret = key['AccessKeyId'], key['SecretAccessKey']
        allow = {'Version': '2012-10-17',
                 'Statement': [{'Effect': 'Allow', 'Action': 's3:GetObject', 'Resource': '*'}]}
        iam.put_user_policy(UserName='reader', PolicyName='read',
                            PolicyDocument=json.dumps(allow))
        self._s3.create_bucket(Bucket='corpora',
                               CreateBucketConfiguration={'LocationConstraint': REGION})

    def _client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION,
                            aws_access_key_id='first', aws_secret_access_key='none')

    def put(self, folder, prefix):
        for path in sorted(folder.rglob('*')):
            if path.is_file():
                self._s3.put_object(Bucket='corpora', Key=f'{prefix}/{path.relative_to(folder)}',
                                    Body=path.read_bytes())

    def check_signatures(self):
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    def close(self):
        settings.INITIAL_NO_AUTH_ACTION_COUNT = float('inf')
        self._server.stop()


class S3Store(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = S3Server()
        cls.addClassCleanup(cls.server.close)
        # A key that needs encoding in a path.
        for name in SOURCES:
            cls.server.put(cls.workspace.path / 'data' / name, f'text sets+2/{name}')
        cls.server.check_signatures()

    def setUp(self):
        self.unchanged = dict(self.workspace.environment)
        self.cache = self.workspace.path / 'caches' / self.id().rpartition('.')[2]
        self.home = self.workspace.path / 'homes' / self.cache.name
        self.workspace.environment['HOME'] = str(self.home)

    def tearDown(self):
        self.workspace.environment.clear()
        self.workspace.environment.update(self.unchanged)

    def give(self, **variables):
        self.workspace.environment.update(variables)

    def urls(self, *more):
        return [*(f'data.sources.{name}.path=s3://corpora/text sets+2/{name}' for name in SOURCES),
                f'data.store.cache={self.cache}', *more]

    def keys(self):
        return {'AWS_ACCESS_KEY_ID': self.server.key, 'AWS_SECRET_ACCESS_KEY': self.server.secret,
                'AWS_REGION': REGION, 'AWS_ENDPOINT_URL': self.server.url}

    def assert_secret(self, *results):
        printed = {str(i): result.out + result.err for i, result in enumerate(results)}
        for secret in (self.server.secret, CANARY):
            self.assertEqual(leaks(self.workspace.path / 'runs', printed, secret), [])
            self.assertEqual(leaks(self.workspace.path / 'caches', {}, secret), [])

    def test_keys_of_the_environment(self):
        local = self.alone('local')
        self.give(**self.keys())
        fetched = self.alone('signed', *self.urls())
        self.assertEqual([line['loss'] for line in fetched.metrics()],
                         [line['loss'] for line in local.metrics()])
        self.assert_secret(fetched)

    def test_keys_of_a_profile(self):
        aws = self.home / '.aws'
        aws.mkdir(parents=True)
        (aws / 'credentials').write_text(
            '[default]\naws_access_key_id = other\naws_secret_access_key = other\n'
            f'[lab]\naws_access_key_id = {self.server.key}\n'
            f'aws_secret_access_key = {self.server.secret}\n')
        (aws / 'config').write_text(
            f'[profile lab]\nregion = {REGION}\nendpoint_url = {self.server.url}\n')
        self.give(AWS_PROFILE='lab')
        done = self.alone('profile', *self.urls('--dry-run'))
        self.give(AWS_PROFILE='none')
        refused = self.alone('no-profile', *self.urls('--dry-run'), code=BAD_INPUT)
        self.assertIn('AWS_PROFILE: expected a section [none] with keys in', refused.err)
        self.assert_secret(done, refused)

    def test_what_a_store_says_of_wrong_keys(self):
        self.give(**self.keys() | {'AWS_SECRET_ACCESS_KEY': CANARY})
        wrong = self.alone('wrong', *self.urls('--dry-run'), code=BAD_INPUT)
        self.assertIn('data.sources.code.path: ', wrong.err)
        self.assertIn('403 SignatureDoesNotMatch', wrong.err)
        self.assertIn(f'signed for region {REGION}', wrong.err)
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
            del self.workspace.environment[name]
        private = FaultyStore(self.workspace.path)
        self.addCleanup(private.close)
        private.add('', 'status', status=403)
        self.give(AWS_ENDPOINT_URL=private.url)
        none = self.alone('none', *self.urls('--dry-run'), code=BAD_INPUT)
        self.assertIn('403 busy, without a signature, because no keys were found', none.err)
        self.assertFalse(any('authorization' in headers for _, headers in private.seen))
        self.give(AWS_ACCESS_KEY_ID=self.server.key)
        half = self.alone('half', *self.urls('--dry-run'), code=BAD_INPUT)
        self.assertIn('expected both or neither, found only the first', half.err)
        self.assert_secret(wrong, none, half)

    def test_keys_that_a_store_sends_back_are_not_repeated(self):
        store = FaultyStore(self.workspace.path)
        self.addCleanup(store.close)
        store.add('', 'echo', status=403)
        self.give(AWS_ACCESS_KEY_ID=f'{CANARY}-1', AWS_SECRET_ACCESS_KEY=f'{CANARY}-2',
                  AWS_SESSION_TOKEN=f'{CANARY}-3', AWS_ENDPOINT_URL=store.url)
        refused = self.alone('echo', *self.urls('--dry-run'), code=BAD_INPUT)
        self.assertIn('***', refused.err)
        self.assertTrue(any(f'{CANARY}-3' == headers.get('x-amz-security-token')
                            for _, headers in store.seen))
        self.assert_secret(refused)

    def test_a_secret_in_a_url_is_refused_unsaid(self):
        for url in (f'https://user:{CANARY}@host/web', f'https://host/web?sig={CANARY}'):
            refused = self.alone('url', f'data.sources.code.path={url}', code=BAD_INPUT)
            self.assertIn('data.sources.code.path: ', refused.err)
            self.assert_secret(refused)


if __name__ == '__main__':
    main()
