namespace CutoffLen.Tests;

/// <summary>The checkout that the tests were built in, for what is not copied beside them.</summary>
internal static class Repository
{
    /// <summary>The folder with CutoffLen.sln.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "CutoffLen.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"no CutoffLen.sln above {AppContext.BaseDirectory}");
    }
}
