using System.Net;
using System.Security.Cryptography;
using CutoffLen.Common;
using Serilog;

namespace CutoffLen.Hub;

/// <summary>
/// Files of a repository on their way into the cache, several at once. A content is written as ETAG.incomplete and gets its
/// name when its size and checksum are right. What an interrupted download has written is gone on with by the next one. Of
/// several processes one downloads a content, the others wait.
/// </summary>
internal sealed class HubDownload
{
    private const int AtOnce = 8;
    private const int Repetitions = 5;

    private readonly HubClient client;
    private readonly HubCache cache;
    private readonly HubRepository repository;
    private readonly string commit;
    private readonly IReadOnlyList<HubFile> files;
    private readonly Lock reporting = new();
    private long done;
    private long reported = -1;

    private HubDownload(HubClient client, HubCache cache, HubRepository repository, string commit, IReadOnlyList<HubFile> files) =>
        (this.client, this.cache, this.repository, this.commit, this.files) = (client, cache, repository, commit, files);

    /// <summary>Bytes of all files.</summary>
    public long Bytes => files.Sum(file => file.Size);

    /// <summary>How many files there are.</summary>
    public int Count => files.Count;

    /// <summary>Asks for sizes and checksums of the files that the snapshot lacks.</summary>
    public static async Task<HubDownload> Prepare(
        HubClient client, HubCache cache, HubRepository repository, string commit, IEnumerable<string> files, CancellationToken stop)
    {
        string[] missing = [.. files.Where(file => !File.Exists(Path.Combine(cache.SnapshotOf(commit), file)))];
        var described = new HubFile[missing.Length];
        await Parallel.ForAsync(0, missing.Length, Several(stop), async (n, token) =>
            described[n] = await client.Describe(repository, commit, missing[n], token).ConfigureAwait(false)).ConfigureAwait(false);
        return new HubDownload(client, cache, repository, commit, described);
    }

    /// <summary>Downloads them.</summary>
    /// <param name="progress">Told the bytes of all files that are here. It never steps back: what comes again is not counted twice.</param>
    /// <param name="stop">Ends it; the next download goes on from there.</param>
    /// <exception cref="UserException">What the hub refuses, a connection that keeps breaking, a wrong checksum, or a disk that does not take it.</exception>
    public async Task Run(IProgress<long>? progress, CancellationToken stop)
    {
        try
        {
            await Parallel.ForEachAsync(files, Several(stop), async (file, token) => await Fetch(file, progress, token).ConfigureAwait(false)).ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{repository}: cannot be kept in the cache: {fault.Message}", fault);
        }
    }

    private static ParallelOptions Several(CancellationToken stop) => new() { MaxDegreeOfParallelism = AtOnce, CancellationToken = stop };

    private async Task Fetch(HubFile file, IProgress<long>? progress, CancellationToken stop)
    {
        var blob = cache.Blob(file.Etag);
        using var alone = cache.Lock(file.Etag, stop);
        if (File.Exists(blob) && new FileInfo(blob).Length == file.Size)
        {
            Report(file.Size, progress);
        }
        else
        {
            await Download(file, blob, progress, stop).ConfigureAwait(false);
        }

        cache.Link(commit, file.Name, file.Etag);
    }

    private async Task Download(HubFile file, string blob, IProgress<long>? progress, CancellationToken stop)
    {
        var part = blob + ".incomplete";
        using (var stream = new FileStream(part, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0))
        {
            stream.SetLength(stream.Length > file.Size ? 0 : stream.Length);
            for (var isResumed = stream.Length > 0; ; isResumed = false)
            {
                Report(stream.Length, progress);
                await client.Repeat(Repetitions, () => stream.Length, () => Append(file, stream, progress, stop), stop).ConfigureAwait(false);
                stream.Flush(flushToDisk: true);
                if (await IsRight(file, stream, stop).ConfigureAwait(false))
                {
                    break;
                }

                if (isResumed)
                {
                    BeginAnew(file, stream, "what an earlier download left does not have its checksum", progress);
                }
                else
                {
                    File.Delete(part);
                    throw new UserException($"{repository}: {file.Name}: the {file.Size} bytes that came do not have the checksum {file.Etag} that the hub says; try again");
                }
            }
        }

        File.Move(part, blob, overwrite: true);
    }

    /// <summary>Appends what the file lacks.</summary>
    private async Task<bool> Append(HubFile file, FileStream stream, IProgress<long>? progress, CancellationToken stop)
    {
        if (stream.Length == file.Size)
        {
            return true;
        }

        using var response = await client.Get(repository, commit, file.Name, stream.Length, stop).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.PartialContent)
        {
            if (stream.Length > 0)
            {
                BeginAnew(file, stream, "the hub sends no part of it", progress);
            }
        }
        else if (response.Content.Headers.ContentRange?.From != stream.Length)
        {
            throw new UserException($"{repository}: {file.Name}: asked for the bytes from {stream.Length} on, the hub sends {response.Content.Headers.ContentRange}");
        }

        stream.Position = stream.Length;
        var buffer = new byte[1 << 20];
        using var content = await client.Connected(token => response.Content.ReadAsStreamAsync(token), stop).ConfigureAwait(false);
        while (await client.Connected(token => content.ReadAsync(buffer, token).AsTask(), stop).ConfigureAwait(false) is > 0 and var count)
        {
            if (stream.Length + count > file.Size)
            {
                throw new UserException($"{repository}: {file.Name}: more comes than the {file.Size} bytes that the hub says");
            }

            stream.Write(buffer, 0, count);
            Report(count, progress);
        }

        return stream.Length == file.Size ? true : throw new HubConnectionException($"{file.Name} ended after {stream.Length} of {file.Size} bytes");
    }

    /// <summary>Whether the content has the checksum that its ETag is. An ETag that is no hash, as of some mirrors, says nothing.</summary>
    private static async Task<bool> IsRight(HubFile file, FileStream stream, CancellationToken stop)
    {
        if (file.Etag.Length is not (40 or 64) || !file.Etag.All(char.IsAsciiHexDigitLower))
        {
            return true;
        }

        using var hash = IncrementalHash.CreateHash(file.Etag.Length == 64 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        hash.AppendData(file.Etag.Length == 64 ? [] : System.Text.Encoding.ASCII.GetBytes($"blob {file.Size}\0"));
        stream.Position = 0;
        var buffer = new byte[1 << 20];
        while (await stream.ReadAsync(buffer, stop).ConfigureAwait(false) is > 0 and var count)
        {
            hash.AppendData(buffer, 0, count);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset()) == file.Etag;
    }

    private void BeginAnew(HubFile file, FileStream stream, string reason, IProgress<long>? progress)
    {
        Log.Warning("{Repository:l}: {File:l} is downloaded from its beginning again, {Bytes} bytes: {Reason:l}", repository, file.Name, stream.Length, reason);
        Report(-stream.Length, progress);
        stream.SetLength(0);
    }

    private void Report(long bytes, IProgress<long>? progress)
    {
        lock (reporting)
        {
            done += bytes;
            if (done > reported)
            {
                progress?.Report(reported = done);
            }
        }
    }
}
