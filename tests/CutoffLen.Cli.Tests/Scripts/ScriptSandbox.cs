using System.Diagnostics;

namespace CutoffLen.Cli.Tests.Scripts;

/// <summary>
/// A folder that looks like a checkout to the project's scripts, and a PATH with nothing but the usual small tools and
/// what the test adds, so that no feed is asked and nothing is installed or built.
/// </summary>
internal sealed class ScriptSandbox : IDisposable
{
    private static readonly string[] SmallTools =
        ["awk", "basename", "bash", "cat", "cksum", "cmp", "cp", "dirname", "find", "flock", "grep", "head", "id", "mkdir", "mktemp", "mv", "nproc", "readlink", "rm", "sed", "sleep", "sort", "touch"];

    private readonly string tools;

    public ScriptSandbox()
    {
        Root = Directory.CreateTempSubdirectory("cutoff-scripts").FullName;
        tools = Directory.CreateDirectory(Path.Combine(Root, "tools")).FullName;
        foreach (var tool in SmallTools)
        {
            var file = Environment.GetEnvironmentVariable("PATH")!.Split(':').Select(folder => Path.Combine(folder, tool)).First(File.Exists);
            File.CreateSymbolicLink(Path.Combine(tools, tool), file);
        }

        Directory.CreateDirectory(Path.Combine(Root, "scripts"));
        foreach (var script in new[] { "cutoff", "test" })
        {
            File.Copy(Path.Combine(Repository.Root, "scripts", script), Path.Combine(Root, "scripts", script));
        }

        File.Copy(Path.Combine(Repository.Root, "Directory.Build.props"), Path.Combine(Root, "Directory.Build.props"));
        Directory.CreateDirectory(Path.Combine(Root, "src"));
    }

    public string Root { get; }

    public string PathOf(string file) => Path.Combine(Root, file);

    public string Read(string file) => File.Exists(PathOf(file)) ? File.ReadAllText(PathOf(file)) : "";

    public void Write(string file, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(file))!);
        File.WriteAllText(PathOf(file), text);
    }

    /// <summary>Puts a program of this name on the PATH; <c>$ROOT</c> is the sandbox.</summary>
    public void AddTool(string name, string body = "")
    {
        var file = Path.Combine(tools, name);
        File.Delete(file); // a link to the real program, which writing would go through to
        // A copy of a script is executable as the script is, and stays so with another text.
        File.Copy(Path.Combine(Repository.Root, "scripts", "test"), file);
        File.WriteAllText(file, $"#!{Path.Combine(tools, "bash")}\nROOT={Root}\n{body}\n");
    }

    /// <summary>Runs one of the scripts; variables are written NAME=value.</summary>
    public CutoffResult Run(string script, string[] arguments, params string[] variables)
    {
        using var process = Start(script, arguments, variables);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return new CutoffResult(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts one of the scripts and does not wait.</summary>
    public Process Start(string script, string[] arguments, params string[] variables)
    {
        var start = new ProcessStartInfo(Path.Combine(tools, "bash"), [PathOf($"scripts/{script}"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Clear();
        start.Environment["PATH"] = tools;
        foreach (var variable in variables)
        {
            var parts = variable.Split('=', 2);
            start.Environment[parts[0]] = parts[1];
        }

        return Process.Start(start)!;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
