namespace CutoffLen.Cli.Tests;

public sealed class CommandLineTests
{
    [Fact]
    public void Help_lists_every_command_and_exits_0()
    {
        var result = CutoffProcess.Run("--help").Exits(0);
        Assert.Empty(result.Error);
        foreach (var command in CommandLine.Create().Subcommands.Where(command => !command.Hidden))
        {
            Assert.Matches($@"(?m)^  {command.Name}\b.*\S", result.Output);
        }
    }

    [Fact]
    public void No_argument_at_all_shows_the_help() =>
        Assert.Equal(Cutoff.Run("--help").Output, Cutoff.Run().Exits(0).Output);

    [Fact]
    public void Version_is_one_line_that_begins_with_the_version() =>
        Assert.Matches(@"^\d+\.\d+\.\d+(\+[0-9a-f]+)?\n$", Cutoff.Run("--version").Exits(0).Output);

    [Fact]
    public void An_unknown_command_is_one_line_that_names_it_and_lists_the_commands()
    {
        var result = CutoffProcess.Run("fintune").Exits(1);
        Assert.Empty(result.Output);
        var line = Assert.Single(result.ErrorLines);
        Assert.Contains("'fintune' (did you mean finetune?)", line, StringComparison.Ordinal);
        Assert.Contains("env", line, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_option_is_one_line_that_names_it_and_lists_the_options()
    {
        var line = Assert.Single(Cutoff.Run("env", "--jsn").Exits(1).ErrorLines);
        Assert.StartsWith("cutoff env:", line, StringComparison.Ordinal);
        Assert.Contains("'--jsn' (did you mean --json?)", line, StringComparison.Ordinal);
        Assert.Contains("--json", line, StringComparison.Ordinal);
    }

    [Fact]
    public void An_argument_too_many_is_one_line() =>
        Assert.Contains("'surplus'", Assert.Single(Cutoff.Run("env", "surplus").Exits(1).ErrorLines), StringComparison.Ordinal);

    [Fact]
    public void Verbose_and_quiet_exclude_each_other() =>
        Assert.Contains("--quiet", Assert.Single(Cutoff.Run("env", "-v", "-q").Exits(1).ErrorLines), StringComparison.Ordinal);

    [Fact]
    public void Starting_does_not_load_libtorch()
    {
        var trace = Path.Combine(Directory.CreateTempSubdirectory("cutoff-loader").FullName, "trace");
        var environment = new Dictionary<string, string?> { ["LD_DEBUG"] = "files", ["LD_DEBUG_OUTPUT"] = trace };
        CutoffProcess.Run(["--help"], null, environment).Exits(0);
        var loaded = Directory.GetFiles(Path.GetDirectoryName(trace)!).SelectMany(File.ReadLines).ToList();
        Assert.Contains(loaded, line => line.Contains("libcoreclr", StringComparison.Ordinal));
        Assert.DoesNotContain(loaded, line => line.Contains("torch", StringComparison.OrdinalIgnoreCase));
        Directory.Delete(Path.GetDirectoryName(trace)!, recursive: true);
    }
}
