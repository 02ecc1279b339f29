using System.Text.RegularExpressions;

namespace CutoffLen.Hub;

/// <summary>What a repository of the hub holds.</summary>
internal enum HubKind
{
    /// <summary>A model.</summary>
    Model,

    /// <summary>A data set.</summary>
    Dataset,
}

/// <summary>A repository of the hub at a revision.</summary>
/// <param name="Kind">What it holds.</param>
/// <param name="Name">org/name.</param>
/// <param name="Revision">A branch, a tag, a reference such as refs/pr/1, or a commit.</param>
internal sealed partial record HubRepository(HubKind Kind, string Name, string Revision = HubRepository.Main)
{
    private const string Main = "main";
    private const string DatasetPrefix = "hf:";

    /// <summary>models or datasets, as addresses and the cache have it.</summary>
    public string Plural => Kind == HubKind.Model ? "models" : "datasets";

    /// <summary>The folder in the cache.</summary>
    public string FolderName => $"{Plural}--{Name.Replace("/", "--", StringComparison.Ordinal)}";

    /// <summary>The path of its page and its files below the hub's address.</summary>
    public string Page => Kind == HubKind.Model ? Name : $"datasets/{Name}";

    /// <summary>The model that <c>org/name[@revision]</c> names; null where the text is no such name.</summary>
    public static HubRepository? ParseModel(string text) =>
        Syntax().Match(text) is { Success: true } match && !match.Groups["file"].Success ? Of(HubKind.Model, match) : null;

    /// <summary>The data set, and the file in it or the files by <c>*</c>, that <c>hf:org/name/path[@revision]</c> names; null where the text is no such name.</summary>
    public static (HubRepository Repository, string File)? ParseData(string text) =>
        IsData(text) && Syntax().Match(text[DatasetPrefix.Length..]) is { Success: true } match && IsPath(match.Groups["file"].Value)
            ? (Of(HubKind.Dataset, match), match.Groups["file"].Value)
            : null;

    /// <summary>Whether a text is the path of a file in a repository, which cannot lead out of a folder.</summary>
    public static bool IsPath(string path) =>
        path.AsSpan().IndexOfAny('\\', '\0') < 0 && path.Split('/').All(part => part is not ("" or "." or ".."));

    /// <summary>Whether a text wants to be a name of data on the hub.</summary>
    public static bool IsData(string text) => text.StartsWith(DatasetPrefix, StringComparison.Ordinal);

    /// <summary>What <see cref="ParseModel"/> or, with a file, <see cref="ParseData"/> reads.</summary>
    public string Write(string? file = null) =>
        (Kind == HubKind.Model ? Name : $"{DatasetPrefix}{Name}/{file}") + (Revision == Main ? "" : $"@{Revision}");

    /// <summary>For messages.</summary>
    public override string ToString() => Revision == Main ? Name : $"{Name}@{Revision}";

    private static HubRepository Of(HubKind kind, Match match) =>
        new(kind, match.Groups["name"].Value, match.Groups["revision"] is { Success: true } revision ? revision.Value : Main);

    // Names as the hub allows them. A revision is a path in the cache too.
    [GeneratedRegex(@"^(?<name>(?!([^/]*/)?[^/@]*(--|\.\.))[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?/[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)(/(?<file>[^@]+))?(@(?<revision>[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*))?\z")]
    private static partial Regex Syntax();
}
