<?php
// Publishes from a backend, with nothing to install: php publish.php

const HUB = 'http://127.0.0.1:3000';

/** The event's id, once it is on disk. */
function publish(string $topic, mixed $data): string
{
    $headers = ['Content-Type: application/json'];
    if ($token = getenv('TIDINGS_TOKEN')) { // for a hub with keys
        $headers[] = "Authorization: Bearer $token";
    }
    $answer = file_get_contents(HUB . '/events/' . rawurlencode($topic), false, stream_context_create([
        'http' => [
            'method' => 'POST',
            'header' => $headers,
            'content' => json_encode($data, JSON_THROW_ON_ERROR),
            'timeout' => 10,
            'ignore_errors' => true, // a refusal says why in its body
        ],
    ]));
    if ($answer === false) {
        throw new RuntimeException('the hub is not there');
    }
    $answer = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
    return $answer['id'] ?? throw new RuntimeException($answer['detail']);
}

echo publish('hello', ['name' => 'world']), "\n";
