using System.Text.RegularExpressions;
using CutoffLen.Files;
using Serilog;

namespace CutoffLen.Hub;

/// <summary>
/// A repository in the cache folder that huggingface_hub also uses: contents under blobs/ by their ETags, links to them under
/// snapshots/COMMIT/, and under refs/ the commit of each revision.
/// </summary>
/// <param name="root">The cache folder.</param>
/// <param name="repository">The repository and the revision.</param>
internal sealed partial class HubCache(string root, HubRepository repository)
{
    private string Folder => Path.Combine(root, repository.FolderName);

    private string Reference => Path.Combine(Folder, "refs", repository.Revision);

    /// <summary>The folder of the revision's files, of which some may be missing; null where there is none.</summary>
    public string? Snapshot
    {
        get
        {
            var commit = IsCommit(repository.Revision) ? repository.Revision : File.Exists(Reference) ? File.ReadAllText(Reference).Trim() : "";
            return IsCommit(commit) && SnapshotOf(commit) is var folder && Directory.Exists(folder) ? folder : null;
        }
    }

    /// <summary>The folder of a commit's files.</summary>
    public string SnapshotOf(string commit) => Path.Combine(Folder, "snapshots", commit);

    /// <summary>The content with an ETag, whose folder is made.</summary>
    public string Blob(string etag) => Path.Combine(Directory.CreateDirectory(Path.Combine(Folder, "blobs")).FullName, etag);

    /// <summary>Waits until no other process downloads the content with an ETag, or writes what else is named.</summary>
    public FileStream Lock(string etag, CancellationToken stop)
    {
        var folder = Directory.CreateDirectory(Path.Combine(root, ".locks", repository.FolderName)).FullName;
        return LockFile.Hold(
            Path.Combine(folder, etag + ".lock"), () => Log.Information("another process is downloading a file of {Repository:l}; waiting for it", repository), stop);
    }

    /// <summary>Makes a file of a snapshot: a relative link to its content, so that the cache can be moved.</summary>
    public void Link(string commit, string file, string etag)
    {
        var link = Path.Combine(SnapshotOf(commit), file);
        if (File.Exists(link))
        {
            return;
        }

        var folder = Directory.CreateDirectory(Path.GetDirectoryName(link)!).FullName;
        File.Delete(link); // a link that leads nowhere
        File.CreateSymbolicLink(link, Path.GetRelativePath(folder, Blob(etag)));
    }

    /// <summary>Keeps which commit the revision is.</summary>
    public void WriteReference(string commit, CancellationToken stop)
    {
        if (repository.Revision != commit)
        {
            using var alone = Lock("refs", stop); // several ranks end their downloads together
            Directory.CreateDirectory(Path.GetDirectoryName(Reference)!);
            AtomicFile.WriteText(Reference, commit);
        }
    }

    /// <summary>Whether a text is a commit's full hash.</summary>
    public static bool IsCommit(string text) => text.Length == 40 && text.All(char.IsAsciiHexDigitLower);

    /// <summary>The repository at a commit, and the file in it (empty for the snapshot itself), that a path in a cache stands for; null for others.</summary>
    public static (HubRepository Repository, string File)? Find(string path)
    {
        var match = SnapshotPath().Match(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        return match.Success
            ? (new(match.Groups["kind"].Value == "models" ? HubKind.Model : HubKind.Dataset, $"{match.Groups["org"]}/{match.Groups["name"]}", match.Groups["commit"].Value),
                match.Groups["file"].Value)
            : null;
    }

    /// <summary>A path as a run's configuration keeps it: the name on the hub for what is in its cache, else the full path.</summary>
    public static string Portable(string path) =>
        Find(path) is var (repository, file) && IsInDefault(path) && (repository.Kind == HubKind.Model) == (file.Length == 0)
            ? repository.Write(file)
            : Path.GetFullPath(path);

    private static bool IsInDefault(string path) =>
        Path.GetFullPath(path).StartsWith(HubSettings.FromEnvironment().CacheFolder + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    [GeneratedRegex("/(?<kind>models|datasets)--(?<org>[^/]+?)--(?<name>[^/]+)/snapshots/(?<commit>[0-9a-f]{40})(/(?<file>.+))?\\z")]
    private static partial Regex SnapshotPath();
}
