<?php
// Signs every vector with the lines of the guide (docs/guides/access.md) and compares.
$vectors = json_decode(file_get_contents(__DIR__ . '/vectors.json'), true);
[$id, $key] = [$vectors['id'], $vectors['key']];
foreach ($vectors['links'] as ['until' => $until, 'sub' => $sub, 'topics' => $topics, 'sig' => $expected]) {
    $text = implode("\n", ['tidings-link-v1', $until, $sub, ...$topics]);
    $mac = hash_hmac('sha256', $text, $key, true);
    $sig = $id . '.' . rtrim(strtr(base64_encode($mac), '+/', '-_'), '=');
    if ($sig !== $expected) {
        fwrite(STDERR, "$sig is not $expected\n");
        exit(1);
    }
}
echo 'php: ' . count($vectors['links']) . " links\n";
