namespace CutoffLen.Files;

/// <summary>The user's cache folder: XDG_CACHE_HOME, else <c>~/.cache</c>.</summary>
internal static class UserCache
{
    /// <summary>A folder <c>cutoff/NAME</c> in it, which may not be there yet.</summary>
    public static string Folder(string name)
    {
        var xdg = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var root = Path.IsPathRooted(xdg) ? xdg : Path.Combine(home.Length > 0 ? home : Path.GetTempPath(), ".cache");
        return Path.Combine(root, "cutoff", name);
    }
}
