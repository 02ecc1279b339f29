using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Hub;

/// <summary>Where the hub and its cache on this machine are, under the names of huggingface_hub's environment variables.</summary>
/// <param name="CacheFolder">HF_HUB_CACHE, else <c>hub</c> in HF_HOME.</param>
/// <param name="Endpoint">HF_ENDPOINT.</param>
/// <param name="Token">HF_TOKEN, else the file HF_TOKEN_PATH (<c>token</c> in HF_HOME); null for none.</param>
/// <param name="IsOffline">HF_HUB_OFFLINE: only the cache is read.</param>
public sealed record HubSettings(string CacheFolder, Uri Endpoint, string? Token = null, bool IsOffline = false)
{
    /// <summary>HF_HUB_DOWNLOAD_TIMEOUT: a connection that is silent for so long is broken.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The wait before the first repetition of a request; each next one waits twice as long.</summary>
    internal TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The settings that environment variables give.</summary>
    /// <param name="variable">Their values; null for the process's.</param>
    /// <exception cref="UserException">A variable whose value is not one.</exception>
    public static HubSettings FromEnvironment(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        var user = variable("HOME") is { Length: > 0 } given ? given : Path.GetTempPath();
        var home = FolderOf("HF_HOME") ?? Path.Combine(FolderOf("XDG_CACHE_HOME") ?? Path.Combine(user, ".cache"), "huggingface");
        var settings = new HubSettings(
            FolderOf("HF_HUB_CACHE") ?? FolderOf("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(home, "hub"),
            EndpointOf(Text("HF_ENDPOINT") ?? "https://huggingface.co"),
            Text("HF_TOKEN") ?? TokenIn(FolderOf("HF_TOKEN_PATH") ?? Path.Combine(home, "token")),
            Text("HF_HUB_OFFLINE")?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE");
        return Text("HF_HUB_DOWNLOAD_TIMEOUT") is { } timeout ? settings with { Timeout = SecondsOf(timeout) } : settings;

        string? Text(string name) => variable(name)?.Trim() is { Length: > 0 } text ? text : null;

        string? FolderOf(string name) => Text(name) is not { } path ? null : Path.TrimEndingDirectorySeparator(
            Path.GetFullPath(path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? user + path[1..] : path));
    }

    private static Uri EndpointOf(string text) =>
        Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttps || uri.Scheme == Uri.UriSchemeHttp)
            ? uri
            : throw new UserException($"HF_ENDPOINT '{text}': not the address of a hub, such as https://huggingface.co");

    private static string? TokenIn(string path)
    {
        try
        {
            return File.Exists(path) && File.ReadAllText(path).Trim() is { Length: > 0 } token ? token : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the hub's token cannot be read: {fault.Message}", fault);
        }
    }

    private static TimeSpan SecondsOf(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and < 86_400
            ? TimeSpan.FromSeconds(seconds)
            : throw new UserException($"HF_HUB_DOWNLOAD_TIMEOUT '{text}': not a number of seconds above 0");
}
