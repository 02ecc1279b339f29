using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Hub;

/// <summary>A connection that could not be made or broke; the request may be repeated.</summary>
internal sealed class HubConnectionException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A revision of a repository.</summary>
/// <param name="Commit">Its commit.</param>
/// <param name="Files">The paths of its files.</param>
internal sealed record HubListing(string Commit, IReadOnlyList<string> Files);

/// <summary>A file of a repository.</summary>
/// <param name="Name">Its path.</param>
/// <param name="Etag">Names its content: the SHA-256 of a large file, the Git blob's SHA-1 of a small one.</param>
/// <param name="Size">Bytes.</param>
internal sealed record HubFile(string Name, string Etag, long Size);

/// <summary>The hub's HTTP interface, as far as reading goes. Every answer other than what was asked for is a <see cref="UserException"/> in words.</summary>
internal sealed partial class HubClient : IDisposable
{
    private const int MostRedirects = 8;
    private const int LargestListing = 64 << 20; // bytes; a data set may have 100,000 files

    private readonly HubSettings settings;
    private readonly HttpClient http;

    /// <summary>Connects to nothing yet.</summary>
    public HubClient(HubSettings settings)
    {
        this.settings = settings;
        // Redirects are followed here: the token is for the hub alone, and the answer before a redirect names the content.
        http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = settings.Timeout })
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LargestListing,
        };
        http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("cutoff", typeof(HubClient).Assembly.GetName().Version!.ToString(3)));
        http.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>The commit and the files of a revision. It is repeated once only: the name may be a mistyped path.</summary>
    public Task<HubListing> List(HubRepository repository, CancellationToken stop) => Repeat(1, () => 0, async () =>
    {
        var address = $"api/{repository.Plural}/{repository.Name}/revision/{Uri.EscapeDataString(repository.Revision)}";
        using var response = await Send(HttpMethod.Get, address, null, repository, "", stop).ConfigureAwait(false);
        var json = await Connected(token => response.Content.ReadAsByteArrayAsync(token), stop).ConfigureAwait(false);
        var source = new Uri(settings.Endpoint, address).ToString();
        var answer = JsonFile.ParseObject(json, source);
        return answer["sha"].AsText() is { } commit && HubCache.IsCommit(commit) && answer["siblings"] is JsonArray siblings
            ? new HubListing(commit, [.. siblings.Select(sibling => (sibling as JsonObject)?["rfilename"].AsText()).OfType<string>().Where(HubRepository.IsPath)])
            : throw new UserException($"{source}: not the answer of a hub; is HF_ENDPOINT right?");
    }, stop);

    /// <summary>The size of a file, and what names its content.</summary>
    public Task<HubFile> Describe(HubRepository repository, string commit, string file, CancellationToken stop) => Repeat(5, () => 0, async () =>
    {
        using var response = await Send(HttpMethod.Head, AddressOf(repository, commit, file), null, repository, file, stop).ConfigureAwait(false);
        var etag = Etag().Match(Header(response, "X-Linked-Etag") ?? Header(response, "ETag") ?? "");
        var size = long.TryParse(Header(response, "X-Linked-Size"), out var linked) ? linked : response.Content.Headers.ContentLength;
        return etag.Success && size >= 0
            ? new HubFile(file, etag.Groups["value"].Value, size.Value)
            : throw new UserException($"{repository}: {file}: the hub at {settings.Endpoint} does not say its size and ETag; is HF_ENDPOINT right?");
    }, stop);

    /// <summary>The bytes of a file from an offset on; the answer may also be all of them (200).</summary>
    public Task<HttpResponseMessage> Get(HubRepository repository, string commit, string file, long offset, CancellationToken stop) => Send(
        HttpMethod.Get, AddressOf(repository, commit, file), offset > 0 ? new RangeHeaderValue(offset, null) : null, repository, file, stop);

    /// <summary>Does something that a connection is needed for, with a bound on its silence.</summary>
    /// <exception cref="HubConnectionException">The connection broke.</exception>
    public async Task<T> Connected<T>(Func<CancellationToken, Task<T>> work, CancellationToken stop)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(settings.Timeout);
        try
        {
            return await work(limited.Token).ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            throw new HubConnectionException((fault.InnerException ?? fault).Message, fault);
        }
        catch (OperationCanceledException fault) when (!stop.IsCancellationRequested)
        {
            throw new HubConnectionException($"no answer in {settings.Timeout.TotalSeconds:0.###} s", fault);
        }
    }

    /// <summary>Repeats what a broken connection ended, until it breaks too often without progress.</summary>
    /// <param name="most">Repetitions in a row.</param>
    /// <param name="progress">A number that grows with progress.</param>
    /// <param name="attempt">The work; a repetition goes on where it was.</param>
    /// <param name="stop">Ends it.</param>
    public async Task<T> Repeat<T>(int most, Func<long> progress, Func<Task<T>> attempt, CancellationToken stop)
    {
        var (failures, reached) = (0, progress());
        while (true)
        {
            try
            {
                return await attempt().ConfigureAwait(false);
            }
            catch (HubConnectionException fault)
            {
                failures = progress() > reached ? 1 : failures + 1;
                reached = Math.Max(reached, progress());
                if (failures > most)
                {
                    throw new UserException($"{settings.Endpoint}: the connection failed {failures} times in a row: {fault.Message}", fault);
                }

                await Task.Delay(settings.RetryDelay * Math.Pow(2, failures - 1), stop).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private static string AddressOf(HubRepository repository, string commit, string file) =>
        $"{repository.Page}/resolve/{commit}/{string.Join('/', file.Split('/').Select(Uri.EscapeDataString))}";

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out var values) ? values.ToString() : null;

    /// <summary>Sends a request and follows its redirects; of HEAD only those within the hub, as to a repository's new name.</summary>
    private async Task<HttpResponseMessage> Send(
        HttpMethod method, string address, RangeHeaderValue? range, HubRepository repository, string file, CancellationToken stop)
    {
        var uri = new Uri(settings.Endpoint, address);
        for (var redirects = 0; redirects <= MostRedirects; redirects++)
        {
            var response = await Connected(token => Send(method, uri, range, token), stop).ConfigureAwait(false);
            var isRedirect = response.StatusCode is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther
                or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;
            if (response.IsSuccessStatusCode || (isRedirect && method == HttpMethod.Head && response.Headers.Location?.IsAbsoluteUri == true))
            {
                return response;
            }

            using (response)
            {
                var next = isRedirect && response.Headers.Location is { } location ? new Uri(uri, location) : throw Refused(response, repository, file);
                uri = next.Scheme == Uri.UriSchemeHttps || next.Scheme == uri.Scheme
                    ? next
                    : throw new UserException($"{repository}: the hub redirects to {next.Host} without encryption, which is not followed");
            }
        }

        throw new UserException($"{repository}: the hub redirects in circles, last to {uri.Host}");
    }

    private Task<HttpResponseMessage> Send(HttpMethod method, Uri uri, RangeHeaderValue? range, CancellationToken stop)
    {
        var request = new HttpRequestMessage(method, uri);
        request.Headers.Range = range;
        if (settings.Token is { } token && uri.Scheme == settings.Endpoint.Scheme && uri.Authority == settings.Endpoint.Authority)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        }

        return http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
    }

    /// <summary>What an answer that is no success means.</summary>
    private Exception Refused(HttpResponseMessage response, HubRepository repository, string file)
    {
        var (status, code) = (response.StatusCode, Header(response, "X-Error-Code"));
        var kind = repository.Kind == HubKind.Model ? "model" : "data set";
        if (status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError)
        {
            return new HubConnectionException($"the hub answers {(int)status} {response.ReasonPhrase}");
        }

        var words = (status, code) switch
        {
            (_, "GatedRepo") => $"the {kind} is gated: accept its conditions at {settings.Endpoint}{repository.Page}{(settings.Token is null ? ", and give your token in HF_TOKEN" : "; the token given may not read it yet")}",
            (HttpStatusCode.Unauthorized, _) when settings.Token is null => $"the hub at {settings.Endpoint} has no such public {kind}; a private one needs a token in HF_TOKEN",
            (HttpStatusCode.Unauthorized, _) => $"the hub at {settings.Endpoint} has no such {kind} that the token given (HF_TOKEN) may read",
            (HttpStatusCode.Forbidden, _) => $"the hub forbids reading it (403){(settings.Token is null ? "; give a token in HF_TOKEN" : " with the token given (HF_TOKEN)")}",
            (HttpStatusCode.NotFound, "RevisionNotFound") => $"the {kind} has no revision '{repository.Revision}'",
            (HttpStatusCode.NotFound, _) when file.Length > 0 => $"the {kind} has no file {file}",
            (HttpStatusCode.NotFound, _) => $"the hub at {settings.Endpoint} has no such {kind}",
            _ => $"the hub at {settings.Endpoint} answers {(int)status} {response.ReasonPhrase}{(file.Length > 0 ? $" to {file}" : "")}",
        };
        return new UserException($"{repository}: {words}");
    }

    // The value is a file's name in the cache.
    [GeneratedRegex("^(W/)?\"?(?<value>[A-Za-z0-9][A-Za-z0-9_.-]{0,199})\"?\\z")]
    private static partial Regex Etag();
}
